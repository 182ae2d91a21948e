/** A workspace of several folders. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as vscode from "vscode";
import { after, running, suite, until } from "./harness";

export const run = suite("multiroot", () => {
  before(async () => {
    // The editor reads the workspace's file as soon as it can. Where that fails, which it does now and then on a busy machine,
    // there are no folders until the file changes.
    const file = (vscode.workspace.workspaceFile ?? assert.fail("it is no workspace")).fsPath;
    const text = fs.readFileSync(file);
    await until(() => {
      if ((vscode.workspace.workspaceFolders ?? []).length === 2) {
        return true;
      }
      fs.writeFileSync(file, text);
      return undefined;
    }, vscode.workspace.onDidChangeWorkspaceFolders);
  });

  it("a folder that is added brings its project, and takes it away again", async () => {
    const { projects, server } = await running();
    const folders = vscode.workspace.workspaceFolders ?? [];
    const last = folders.at(-1) ?? assert.fail("no folder is open");
    const count = (wanted: number) => until(() => (projects.roots.length === wanted ? true : undefined), projects.onDidChange);
    assert.ok(vscode.workspace.updateWorkspaceFolders(folders.length - 1, 1));
    await count(1);
    await until(() => (server.state.kind === "running" && server.status ? true : undefined), server.onDidChange);
    assert.ok(vscode.workspace.updateWorkspaceFolders(folders.length - 1, 0, { uri: last.uri }));
    await count(2);
    await running();
    const document = await vscode.workspace.openTextDocument(vscode.Uri.joinPath(last.uri, "analytics/dbt/models/marts/_marts.yml"));
    assert.ok(after(document, "models:"));
    assert.ok(vscode.languages.match(projects.selector, document) > 0);
  });

  it("one server is there for all projects, also for one that lies deeper than its folder", async () => {
    const { projects, server } = await running();
    const [first, second] = (vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath);
    assert.deepEqual([...projects.roots].sort(), [first, `${String(second)}/analytics/dbt`].sort());
    for (const root of projects.roots) {
      const document = await vscode.workspace.openTextDocument(vscode.Uri.joinPath(vscode.Uri.file(root), "models/marts/_marts.yml"));
      await vscode.window.showTextDocument(document);
      await until(
        () => vscode.languages.getDiagnostics(document.uri).find((one) => one.source === "osmosis"),
        vscode.languages.onDidChangeDiagnostics,
      );
      await until(() => server.status?.projects.find((one) => one.root === root && one.state === "ready"), server.onDidChange);
    }
  });
});
