/** Puts the parts together; nothing else happens here. */

import * as vscode from "vscode";
import { Environment } from "./common/environment";
import { installation } from "./common/installation";
import { watchInterpreter } from "./common/interpreter";
import type { Status } from "./common/messages";
import { Projects } from "./common/projects";
import { Server } from "./common/server";
import { settingNames } from "./common/settings";

export interface Api {
  readonly server: Server;
  readonly projects: Projects;
  readonly status: () => Status | undefined;
}

let server: Server | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<Api> {
  const log = vscode.window.createOutputChannel("osmosis-synthesize", { log: true });
  const projects = new Projects();
  const storage = context.globalStorageUri.fsPath;
  await vscode.workspace.fs.createDirectory(context.globalStorageUri);
  const environment = new Environment(context.asAbsolutePath("dist"), storage);
  let status: Status | undefined;
  const running = new Server(
    {
      roots: () => projects.roots,
      keys: () => Promise.resolve({}),
      ownPython: installation(environment, storage, log),
    },
    { log, storage, settings: settingNames(context.extension.packageJSON), onStatus: (now) => (status = now) },
  );
  server = running;
  context.subscriptions.push(
    log,
    projects,
    running,
    projects.onDidChange(() => void running.restart("the dbt projects of the window have changed")),
    vscode.workspace.onDidGrantWorkspaceTrust(() => void running.restart("the workspace is trusted now")),
    await watchInterpreter(() => void running.restart("another interpreter was chosen")),
    vscode.commands.registerCommand("osmosis.restart", () => running.restartByHand()),
    vscode.commands.registerCommand("osmosis.showLog", () => {
      log.show();
    }),
  );
  await projects.refresh();
  return { server: running, projects, status: () => status };
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}
