/** Each command of the palette, given by its name. */

import assert from "node:assert/strict";
import * as vscode from "vscode";
import { menuItems } from "../../src/common/menu";
import type { Outcome, Parsed } from "../../src/common/messages";
import { actionAt, after, another, api, open, pid, program, running, select, suite, until, withSetting } from "./harness";

const MARTS = "models/marts/_marts.yml";

interface Manifest {
  readonly contributes: { readonly commands: readonly { readonly command: string }[] };
}

export const run = suite("commands", () => {
  before(async () => {
    await running();
  });

  it("all commands that the extension declares exist, and all that the menu leads to are declared", async () => {
    const { server } = await api();
    const manifest = vscode.extensions.getExtension("osmosis-synthesize.osmosis-synthesize")?.packageJSON as Manifest;
    const declared = manifest.contributes.commands.map(({ command }) => command);
    const existing = await vscode.commands.getCommands(true);
    assert.deepEqual(
      declared.filter((command) => !existing.includes(command)),
      [],
    );
    const led = menuItems(server.state, server.status).map(({ command }) => command);
    assert.deepEqual(
      led.filter((command) => !declared.includes(command)),
      [],
    );
  });

  it("generateColumn describes the column at the cursor", async () => {
    const editor = await open(MARTS);
    const place = after(editor.document, "- name: duration_min");
    await actionAt(editor.document, place, /^Generate description/);
    select(editor, place);
    assert.equal(await filledBy("osmosis.generateColumn"), 1);
    assert.match(editor.document.getText(), /- name: duration_minutes\n +description: Minutes from unlocking the bike/);
    await vscode.commands.executeCommand("undo");
  });

  it("generateColumn says so where there is nothing to describe", async () => {
    const editor = await open(MARTS);
    select(editor, new vscode.Position(0, 0));
    assert.equal(await vscode.commands.executeCommand("osmosis.generateColumn"), undefined);
  });

  it("generateModel describes the model at the cursor", async () => {
    const editor = await withOneGap();
    select(editor, after(editor.document, "columns:"));
    await lenses(editor.document);
    assert.equal(await filledBy("osmosis.generateModel"), 1);
    assert.match(editor.document.getText(), /Place of the day among all days of the station/);
    await vscode.commands.executeCommand("workbench.action.files.revert");
  });

  it("generateFile describes what is open", async () => {
    const editor = await withOneGap();
    await lenses(editor.document);
    assert.equal(await filledBy("osmosis.generateFile"), 1);
    await vscode.commands.executeCommand("workbench.action.files.revert");
  });

  it("accept marks what was generated as looked at", async () => {
    const editor = await open(MARTS);
    const place = after(editor.document, "- name: duration_min");
    await actionAt(editor.document, place, /^Generate description/);
    select(editor, place);
    assert.equal(await filledBy("osmosis.generateColumn"), 1);
    await editor.document.save();
    assert.equal(await vscode.commands.executeCommand("osmosis.accept"), 1);
    assert.equal(await vscode.commands.executeCommand("osmosis.accept"), 0);
  });

  it("pause keeps everything from calling a provider until it is taken back", async () => {
    const { server } = await api();
    const editor = await open(MARTS);
    const place = after(editor.document, "- name: is_round_tr");
    await actionAt(editor.document, place, /^Generate description/);
    assert.equal(await vscode.commands.executeCommand("osmosis.pause"), true);
    await until(() => (server.status?.paused === true ? true : undefined), server.onDidChange);
    const calls = server.status?.calls;
    select(editor, place);
    assert.equal(await filledBy("osmosis.generateColumn"), 0);
    assert.equal(server.status?.calls, calls);
    assert.equal(await vscode.commands.executeCommand("osmosis.pause"), false);
    await until(() => (server.status?.paused === false ? true : undefined), server.onDidChange);
  });

  it("the status bar shows what was spent, and what it may be", async () => {
    const { server, statusBar } = await api();
    await until(() => ((server.status?.calls ?? 0) > 0 && server.status?.running === 0 ? true : undefined), server.onDidChange);
    assert.match(statusBar.text, /^osmosis \$0\.0\S* · \$\d+\.\d+ today$/);
  });

  it("refresh, cacheClear and cancelAll are answered", async () => {
    assert.equal(await vscode.commands.executeCommand("osmosis.refresh"), null);
    assert.ok((await vscode.commands.executeCommand<number>("osmosis.cacheClear")) > 0);
    assert.equal(await vscode.commands.executeCommand("osmosis.cancelAll"), 0);
  });

  it("restart gives another server", async () => {
    const before = await pid();
    await vscode.commands.executeCommand("osmosis.restart");
    assert.notEqual(await pid(), before);
  });

  it("dbtParse has the dbt of the settings write the manifest anew", async () => {
    const dbt = program("dbt", '#!/bin/sh\necho "run with: $*"\ntouch target/manifest.json\n');
    const before = await pid();
    await withSetting("dbtCommand", [dbt, "--quiet"], async () => {
      await another(before);
      await open(MARTS);
      const parsed = await vscode.commands.executeCommand<Parsed>("osmosis.dbtParse");
      assert.deepEqual([parsed.exitCode, parsed.problem, parsed.tail], [0, null, ["run with: --quiet parse"]]);
    });
  });
});

/** How many gaps a command has filled. */
async function filledBy(command: string): Promise<number> {
  return (await vscode.commands.executeCommand<Outcome>(command)).filled;
}

/** A schema file, open and changed, that has one gap left: a run of one description needs no confirmation. */
async function withOneGap(): Promise<vscode.TextEditor> {
  const editor = await open(MARTS);
  const { document } = editor;
  const all = new vscode.Range(new vscode.Position(0, 0), document.lineAt(document.lineCount - 1).range.end);
  const text = "models:\n  - name: daily_station_trips\n    description: Trips.\n    columns:\n      - name: busiest_rank\n";
  assert.ok(await editor.edit((edit) => { edit.replace(all, text); }));
  return editor;
}

/** Waits until the server has looked at a document: then there is a line over its only model. */
async function lenses(document: vscode.TextDocument): Promise<void> {
  const { server } = await api();
  await until(
    async () => {
      const found = await vscode.commands.executeCommand<vscode.CodeLens[]>("vscode.executeCodeLensProvider", document.uri);
      return found.length === 1 ? true : undefined;
    },
    server.onDidChange,
    vscode.languages.onDidChangeDiagnostics,
  );
}
