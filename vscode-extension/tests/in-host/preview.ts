/** The preview before a run of several descriptions: each of its commands. */

import assert from "node:assert/strict";
import * as vscode from "vscode";
import { api, open, running, suite, until } from "./harness";
import type { Text } from "../../src/preview/proposals";

const MARTS = "models/marts/_marts.yml";
const TWO_GAPS =
  "models:\n  - name: daily_station_trips\n    description: Trips.\n    columns:\n      - name: busiest_rank\n        description: TODO\n      - name: trips\n";

export const run = suite("preview", () => {
  before(async () => {
    await running();
  });
  beforeEach(async () => {
    const { document } = await withTwoGaps();
    await vscode.commands.executeCommand("osmosis.generateFile");
    assert.equal(document.getText(), TWO_GAPS);
  });
  afterEach(async () => {
    await vscode.commands.executeCommand("osmosis.proposals.discardAll");
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument((await open(MARTS)).document.uri));
    await vscode.commands.executeCommand("workbench.action.files.revert");
  });

  it("shows what was found and changes nothing", async () => {
    const texts = await waiting();
    assert.deepEqual(
      texts.map(({ proposed: { label, old, origin } }) => [label, old, origin]),
      [
        ["daily_station_trips.busiest_rank", "TODO", "generated"],
        ["daily_station_trips.trips", null, "generated"],
      ],
    );
  });

  it("acceptAll puts all in place, and one undo takes them back", async () => {
    const { document } = await open(MARTS);
    await vscode.commands.executeCommand("osmosis.proposals.acceptAll");
    assert.match(document.getText(), /Place of the day[^]*What is known of/);
    assert.deepEqual(await waiting(), []);
    await vscode.commands.executeCommand("undo");
    assert.equal(document.getText(), TWO_GAPS);
  });
});

async function waiting(): Promise<readonly Text[]> {
  return (await api()).preview.texts;
}

/** A schema file, open and changed, that has two gaps left. */
async function withTwoGaps(): Promise<vscode.TextEditor> {
  const editor = await open(MARTS);
  const { document } = editor;
  const all = new vscode.Range(new vscode.Position(0, 0), document.lineAt(document.lineCount - 1).range.end);
  assert.ok(
    await editor.edit((edit) => {
      edit.replace(all, TWO_GAPS);
    }),
  );
  await lenses(document);
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
