/** What the tests inside the extension host have in common. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import Mocha from "mocha";
import * as vscode from "vscode";
import type { Api } from "../../src/extension";

/** How one test ended; the error is absent where it passed. */
export interface Result {
  readonly title: string;
  readonly error?: string;
}

/**
 * Makes what the editor calls: runs tests that `define` describes, and writes how they ended to a file.
 *
 * @param name - of the file, in the folder $OSMOSIS_TEST_RESULTS
 */
export function suite(name: string, define: () => void): () => Promise<void> {
  return async () => {
    const mocha = new Mocha({ timeout: 120_000, reporter: "min" });
    mocha.suite.emit("pre-require", globalThis, name, mocha);
    define();
    const results: Result[] = [];
    const { server, projects } = await api();
    await new Promise<void>((resolve) => {
      const runner = mocha.run(() => {
        resolve();
      });
      runner.on("pass", (test) => results.push({ title: test.fullTitle() }));
      runner.on("fail", (test, error: Error) => {
        const folders = vscode.workspace.workspaceFolders?.map(({ uri }) => uri.fsPath);
        const around = JSON.stringify({ state: server.state, status: server.status, roots: projects.roots, folders });
        results.push({ title: test.fullTitle(), error: `${error.stack ?? error.message}\n${around}` });
      });
    });
    fs.writeFileSync(path.join(resultsFolder(), `${name}.json`), JSON.stringify(results));
  };
}

function resultsFolder(): string {
  return process.env["OSMOSIS_TEST_RESULTS"] ?? assert.fail("OSMOSIS_TEST_RESULTS is not set");
}

/** An executable file of a few lines, outside of the workspace unless its folder is said. */
export function program(name: string, source: string, folder = fs.mkdtempSync(path.join(resultsFolder(), "program-"))): string {
  const file = path.join(folder, name);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(file, source, { mode: 0o755 });
  return file;
}

export async function api(): Promise<Api> {
  const extension = vscode.extensions.getExtension<Api>("osmosis-synthesize.osmosis-synthesize");
  return await (extension ?? assert.fail("The extension is not installed.")).activate();
}

/** Waits until a value is there; looks again whenever one of the events has happened. */
export async function until<T>(
  look: () => T | undefined | PromiseLike<T | undefined>,
  ...events: readonly vscode.Event<unknown>[]
): Promise<T> {
  return await new Promise((resolve, reject) => {
    let busy = false;
    let again = false;
    const check = async () => {
      again = true;
      if (busy) {
        return;
      }
      busy = true;
      while (again) {
        again = false;
        const found = await look();
        if (found !== undefined) {
          listening.dispose();
          resolve(found);
          return;
        }
      }
      busy = false;
    };
    const onEvent = () => {
      check().catch(reject);
    };
    // Not all that is awaited is told by an event, or only before it can be seen.
    const timer = setInterval(onEvent, 500);
    const listening = vscode.Disposable.from(...events.map((event) => event(onEvent)), { dispose: () => { clearInterval(timer); } });
    onEvent();
  });
}

/** The extension, with its server running and all projects read. */
export async function running(): Promise<Api> {
  const extension = await api();
  const { server } = extension;
  await until(() => {
    const { status } = server;
    const isReady = status !== undefined && status.projects.length > 0 && status.projects.every((one) => one.state === "ready");
    return isReady ? true : undefined;
  }, server.onDidChange);
  return extension;
}

/** The process of the server that runs. */
export async function pid(): Promise<number> {
  const { server } = await running();
  return (server.state.kind === "running" ? server.state.info.pid : undefined) ?? assert.fail("no process");
}

/** That of the next one. */
export async function another(before: number): Promise<number> {
  const { server } = await api();
  return await until(async () => {
    const now = await pid();
    return now === before ? undefined : now;
  }, server.onDidChange);
}

export function root(): vscode.Uri {
  return (vscode.workspace.workspaceFolders?.[0] ?? assert.fail("no folder is open")).uri;
}

/** A file of the workspace, shown in an editor. */
export async function open(file: string): Promise<vscode.TextEditor> {
  const document = await vscode.workspace.openTextDocument(vscode.Uri.joinPath(root(), file));
  return await vscode.window.showTextDocument(document);
}

/** The place right after the n-th occurrence of a text. */
export function after(document: vscode.TextDocument, text: string, occurrence = 1): vscode.Position {
  let offset = -1;
  for (let n = 0; n < occurrence; n++) {
    offset = document.getText().indexOf(text, offset + 1);
    assert.notEqual(offset, -1, `${text} is not in ${document.fileName}`);
  }
  return document.positionAt(offset + text.length);
}

/** Put the cursor there. */
export function select(editor: vscode.TextEditor, place: vscode.Position): void {
  editor.selection = new vscode.Selection(place, place);
}

/** The code actions at a place, as soon as one of them has a certain title. */
export async function actionAt(document: vscode.TextDocument, place: vscode.Position, title: RegExp): Promise<vscode.CodeAction> {
  const { server } = await api();
  return await until(
    async () => {
      const actions = await vscode.commands.executeCommand<vscode.CodeAction[]>(
        "vscode.executeCodeActionProvider",
        document.uri,
        new vscode.Range(place, place),
        undefined,
        20,
      );
      return actions.find((action) => title.test(action.title));
    },
    vscode.languages.onDidChangeDiagnostics,
    server.onDidChange,
  );
}

/** Carry out a code action as the editor would. */
export async function perform(action: vscode.CodeAction): Promise<void> {
  if (action.edit !== undefined) {
    assert.ok(await vscode.workspace.applyEdit(action.edit));
  }
  if (action.command !== undefined) {
    await vscode.commands.executeCommand(action.command.command, ...((action.command.arguments ?? []) as unknown[]));
  }
}

/** Give a setting a value while something is done. */
export async function withSetting(name: string, value: unknown, what: () => Promise<void>): Promise<void> {
  const settings = vscode.workspace.getConfiguration("osmosis");
  const before = settings.inspect(name)?.globalValue;
  await settings.update(name, value, vscode.ConfigurationTarget.Global);
  try {
    await what();
  } finally {
    await vscode.workspace.getConfiguration("osmosis").update(name, before, vscode.ConfigurationTarget.Global);
  }
}
