/** Puts the parts together; nothing else happens here. */

import * as vscode from "vscode";
import { onStartSettings } from "./common/configuration";
import type { Part } from "./common/connection";
import { Environment } from "./common/environment";
import { Installation, offerOnce } from "./common/installation";
import { watchInterpreter } from "./common/interpreter";
import { askForKey, askToRemoveKey, Keys } from "./common/keys";
import { LanguageStatus } from "./common/languageStatus";
import { showMenu } from "./common/menu";
import { commandsByName } from "./common/palette";
import { Projects } from "./common/projects";
import { Server } from "./common/server";
import { settingNames } from "./common/settings";
import { StatusBar } from "./common/statusBar";
import { LanguageModel } from "./languageModel";
import { Preview } from "./preview/preview";
import { Report } from "./report/report";

/** What the extension exports, for its own tests. */
export interface Api {
  readonly server: Server;
  readonly projects: Projects;
  readonly keys: Keys;
  readonly statusBar: StatusBar;
  readonly preview: Preview;
  readonly report: Report;
}

let running: Server | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<Api> {
  const storage = context.globalStorageUri.fsPath;
  await vscode.workspace.fs.createDirectory(context.globalStorageUri);
  const log = vscode.window.createOutputChannel("osmosis-synthesize", { log: true });
  const projects = new Projects();
  const installation = new Installation(new Environment(context.asAbsolutePath("dist"), storage), storage, log);
  const keys = new Keys(context.secrets, context.globalState);
  const statusBar = new StatusBar();
  const languageStatus = new LanguageStatus();
  const parts: Part[] = [new LanguageModel(context.languageModelAccessInformation)];
  const preview: Preview = new Preview(() => server.connection);
  const report: Report = new Report(() => server.connection);
  const server: Server = new Server(
    { roots: () => projects.roots, keys: () => keys.environment(), ownPython: () => installation.python() },
    {
      log,
      storage,
      parts,
      settings: settingNames(context.extension.packageJSON),
      executeCommand: preview.before(commandsByName(() => server)),
    },
  );
  running = server;

  const commands: Readonly<Record<string, (...args: never[]) => unknown>> = {
    "osmosis.menu": () => showMenu(server.state, server.status),
    "osmosis.install": async () => {
      if (await installation.install()) {
        await server.restartByHand();
      }
    },
    "osmosis.restart": () => server.restartByHand(),
    "osmosis.setKey": (provider?: string) => askForKey(keys, provider),
    "osmosis.report": () => report.show(),
    "osmosis.walkthrough": () =>
      vscode.commands.executeCommand("workbench.action.openWalkthrough", `${context.extension.id}#firstSteps`),
    "osmosis.removeKey": () => askToRemoveKey(keys),
    "osmosis.showLog": () => {
      log.show();
    },
  };
  const restartFor = (reason: string) => () => void server.restart(reason);
  context.subscriptions.push(
    log,
    projects,
    statusBar,
    languageStatus,
    preview,
    report,
    server,
    server.onDidChange(() => {
      statusBar.show(server.state, server.status);
      languageStatus.show(server.status);
      void vscode.commands.executeCommand("setContext", "osmosis.running", server.state.kind === "running");
    }),
    offerOnce(server),
    projects.onDidChange(restartFor("the dbt projects of the window have changed")),
    keys.onDidChange(restartFor("a key has changed")),
    onStartSettings(restartFor("a setting has changed that is given at the start")),
    vscode.workspace.onDidGrantWorkspaceTrust(restartFor("the workspace is trusted now")),
    watchInterpreter(restartFor("another interpreter was chosen")),
    ...Object.entries(commands).map(([name, command]) => vscode.commands.registerCommand(name, command)),
  );
  await projects.refresh();
  return { server, projects, keys, statusBar, preview, report };
}

export async function deactivate(): Promise<void> {
  await running?.stop();
}
