/** Other extensions beside ours: the one for Python, and one that brings a language model. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import * as vscode from "vscode";
import type { Outcome } from "../../src/common/messages";
import { actionAt, after, api, open, program, root, running, suite, until, withSetting } from "./harness";
import type { Neighbour } from "./neighbour/extension";

const MARTS = "models/marts/_marts.yml";

export const run = suite("neighbours", () => {
  describe("the Python extension", () => {
    it("decides which interpreter's server is used, also when it changes its mind", async () => {
      const own = interpreter("chosen");
      const other = interpreter("other");
      await running();
      await withSetting("interpreter", "", async () => {
        await choose(own);
        await runsFrom(own);
        await choose(other);
        await runsFrom(other);
      });
      await runsFrom(python());
    });

    it("is not needed: the environment in the workspace's folder is found without it", async () => {
      const usual = path.join(root().fsPath, ".venv", "bin", "python");
      interpreter("python", path.dirname(usual));
      await choose("/nowhere/python");
      await withSetting("interpreter", "", async () => {
        await runsFrom(usual);
      });
      fs.rmSync(path.join(root().fsPath, ".venv"), { recursive: true });
      await running();
    });

    it("may choose an interpreter without the server: then one is offered", async () => {
      const { server } = await running();
      await choose("/usr/bin/env");
      await withSetting("interpreter", "", async () => {
        await until(() => (server.state.kind === "failed" && server.state.canInstall ? true : undefined), server.onDidChange);
      });
      await running();
    });
  });

  describe("a language model of the editor", () => {
    it("writes descriptions; that needs no key and counts as free", async () => {
      const { askedBy } = (await neighbour()).models;
      await withModel("open", async () => {
        const { server } = await running();
        const spent = server.status?.spentSession;
        const { document } = await open(MARTS);
        const outcome = await generate(document, "duration_minutes");
        assert.deepEqual(outcome.left, []);
        assert.match(document.getText(), /- name: duration_minutes\n +description: The editor's own words on duration minutes\./);
        assert.equal(server.status?.spentSession, spent);
        assert.equal(askedBy.length, 1);
        assert.equal(askedBy[0] ?? "osmosis-synthesize.osmosis-synthesize", "osmosis-synthesize.osmosis-synthesize");
        await vscode.commands.executeCommand("undo");
      });
    });

    it("that the user has not allowed us to ask leaves the gap, and says so", async function () {
      if (!vscode.version.startsWith("1.100.")) {
        this.skip(); // later editors let nobody but their own extensions say that a model is guarded
      }
      await withModel("guarded", async () => {
        const { document } = await open(MARTS);
        const outcome = await generate(document, "duration_minutes");
        // The editor would ask its user here; a window for tests shows no dialogs, and takes that for a no.
        assert.match(outcome.left[0]?.reason ?? "", /^The editor's language model did not answer: Guarded Model: .* You have not allowed it\./);
      });
    });

    it("that is gone leaves the gap, and the user hears why", async () => {
      (await neighbour()).models.takeAway();
      await withModel("open", async () => {
        const { document } = await open(MARTS);
        const before = document.getText();
        const outcome = await generate(document, "distance_km");
        assert.match(outcome.left[0]?.reason ?? "", /no language model in this editor/);
        assert.equal(document.getText(), before);
      });
    });
  });
});

async function neighbour(): Promise<Neighbour> {
  return await (vscode.extensions.getExtension<Neighbour>("ms-python.python") ?? assert.fail("there is none")).activate();
}

async function choose(file: string): Promise<void> {
  await (await neighbour()).environments.updateActiveEnvironmentPath(file);
}

/** Waits until the server of an interpreter runs. */
async function runsFrom(file: string): Promise<void> {
  const { server } = await api();
  await until(() => (server.state.kind === "running" && server.state.info.place === file ? true : undefined), server.onDidChange);
}

/** Have a column described by the action that is offered for it. */
async function generate(document: vscode.TextDocument, column: string): Promise<Outcome> {
  const action = await actionAt(document, after(document, `- name: ${column}`), new RegExp(`^Generate description for \`${column}\``));
  const { command, arguments: given = [] } = action.command ?? assert.fail("it is no command");
  return await vscode.commands.executeCommand<Outcome>(command, ...(given as unknown[]));
}

/** Do something while the provider is `editor`, with one of its models. */
async function withModel(name: string, what: () => Promise<void>): Promise<void> {
  await withSetting("model", name, async () => {
    await withSetting("provider", "editor", async () => {
      const { server } = await running();
      const isSet = () => server.status?.projects.every(({ provider, model }) => provider === "editor" && model === name) === true;
      await until(() => (isSet() ? true : undefined), server.onDidChange);
      await what();
    });
  });
}

/** The Python of the settings, in which the server is. */
function python(): string {
  return vscode.workspace.getConfiguration("osmosis").get<string>("interpreter") ?? assert.fail("no interpreter is set");
}

/** Another interpreter with the server in it: the same under another name. */
function interpreter(name: string, folder?: string): string {
  return program(name, `#!/bin/sh\nexec "${python()}" "$@"\n`, folder);
}
