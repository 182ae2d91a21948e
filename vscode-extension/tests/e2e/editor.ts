/** Runs the editor's server, with the packed extension in a fresh profile. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import type { Editor } from "./install";

/** A process of its own group, so that all it has started ends with it. */
export class Group {
  constructor(readonly process: ChildProcess) {}

  async stop(): Promise<void> {
    const { process: child } = this;
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
      return;
    }
    const ended = new Promise((resolve) => child.once("exit", resolve));
    process.kill(-child.pid, "SIGTERM");
    await ended;
  }
}

/**
 * @param folder - for its state; anew each time
 * @param settings - of the machine that the editor's server runs on: what names programs and hosts is read from there
 * @param environment - what the extension host sees besides ours
 */
export async function serve(
  editor: Editor,
  folder: string,
  vsix: string,
  settings: Readonly<Record<string, unknown>>,
  environment: Record<string, string | undefined>,
): Promise<{ host: string; group: Group }> {
  const user = path.join(folder, "user");
  writeUserSettings(folder, {});
  writeMachineSettings(folder, settings);
  const profile = [
    ...["--server-data-dir", folder, "--user-data-dir", user, "--extensions-dir", path.join(folder, "extensions")],
    ...["--accept-server-license-terms", "--telemetry-level", "off"],
  ];
  // Without the address of a marketplace nothing is looked up there.
  const env = { ...process.env, EXTENSIONS_GALLERY: '{"serviceUrl":""}', ...environment };
  const log = fs.openSync(path.join(folder, "editor.log"), "a");
  execFileSync(editor.node, [editor.main, ...profile, "--install-extension", vsix], { env, stdio: ["ignore", log, log] });
  const port = await freePort();
  const more = ["--host", "127.0.0.1", "--port", String(port), "--without-connection-token", "--enable-smoke-test-driver"];
  const child = spawn(editor.node, [editor.main, ...profile, ...more], { env, detached: true, stdio: ["ignore", log, log] });
  const host = `127.0.0.1:${String(port)}`;
  await answers(`http://${host}/version`, child);
  return { host, group: new Group(child) };
}

/** @param folder - as for {@link serve} */
export function writeUserSettings(folder: string, settings: Readonly<Record<string, unknown>>): void {
  write(path.join(folder, "user", "User", "settings.json"), { ...QUIET, ...settings });
}

/** @param folder - as for {@link serve} */
export function writeMachineSettings(folder: string, settings: Readonly<Record<string, unknown>>): void {
  write(path.join(folder, "user", "Machine", "settings.json"), settings);
}

/** What would ask, tell or load something by itself is off. */
const QUIET = {
  "security.workspace.trust.enabled": false,
  "workbench.startupEditor": "none",
  "workbench.enableExperiments": false,
  "workbench.tips.enabled": false,
  "telemetry.telemetryLevel": "off",
  "extensions.autoUpdate": false,
  "extensions.autoCheckUpdates": false,
  "extensions.ignoreRecommendations": true,
  "update.mode": "none",
  "files.autoSave": "off",
  "chat.disableAIFeatures": true,
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  // What is beside the text would only be in the way of a picture of it.
  "editor.minimap.enabled": false,
  "editor.stickyScroll.enabled": false,
  "workbench.activityBar.location": "hidden",
  "window.commandCenter": false,
};

export function write(file: string, settings: Readonly<Record<string, unknown>>): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, JSON.stringify(settings));
}

async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on("error", reject).listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => {
        resolve(port);
      });
    });
  });
}

/** Waits until a URL answers; fails as soon as the process that should do so has ended. */
async function answers(url: string, child: ChildProcess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) {
      throw new Error(`The editor has ended with ${String(child.exitCode)}; see editor.log.`);
    }
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok === true) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50)); // between two looks at the state that is waited for
  }
}
