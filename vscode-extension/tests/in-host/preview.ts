/** The preview before a run of several descriptions: each of its commands. */

import assert from "node:assert/strict";
import * as vscode from "vscode";
import type { Applied } from "../../src/common/messages";
import { after, api, open, running, suite, until, withSetting } from "./harness";
import type { Text } from "../../src/preview/proposals";

const MARTS = "models/marts/_marts.yml";
const TWO_GAPS =
  "models:\n  - name: daily_station_trips\n    description: Trips.\n    columns:\n      - name: trips\n      - name: busiest_rank\n        description: TODO\n";

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
    await open(MARTS);
    await vscode.commands.executeCommand("workbench.action.files.revert");
  });

  it("shows what was found and changes nothing", async () => {
    const texts = await waiting();
    assert.deepEqual(
      texts.map(({ proposed: { label, old, origin } }) => [label, old, origin === "inherited"]),
      [
        ["daily_station_trips.trips", null, false],
        ["daily_station_trips.busiest_rank", "TODO", false],
      ],
    );
    assert.ok(texts.every(({ isChecked }) => isChecked));
  });

  it("acceptAll puts all in place, and one undo takes them back", async () => {
    const { document } = await open(MARTS);
    await vscode.commands.executeCommand("osmosis.proposals.acceptAll");
    assert.match(document.getText(), /What is known of trips[^]*Place of the day/);
    assert.deepEqual(await waiting(), []);
    await vscode.commands.executeCommand("undo");
    assert.equal(document.getText(), TWO_GAPS);
  });

  it("acceptChecked leaves the others as they are", async () => {
    const { preview } = await api();
    const { document } = await open(MARTS);
    const [first, second] = await waiting();
    await vscode.commands.executeCommand("osmosis.proposals.toggle", first);
    assert.deepEqual(
      preview.texts.map(({ isChecked }) => isChecked),
      [false, true],
    );
    await vscode.commands.executeCommand("osmosis.proposals.acceptChecked");
    assert.match(document.getText(), /Place of the day/);
    assert.doesNotMatch(document.getText(), /What is known of/);
    assert.deepEqual(
      (await waiting()).map(({ key }) => key),
      [first?.key],
    );
    assert.notEqual(first?.key, second?.key);
  });

  it("regenerate asks anew for one of them", async () => {
    const { server } = await api();
    await idle();
    const calls = server.status?.calls ?? assert.fail();
    const [first] = await waiting();
    await vscode.commands.executeCommand("osmosis.proposals.regenerate", first);
    await until(() => (server.status?.calls === calls + 1 ? true : undefined), server.onDidChange);
    const texts = await waiting();
    assert.equal(texts.length, 2);
    assert.equal(texts[0]?.proposed.origin, "generated");
  });

  it("edit changes what would be put in place", async () => {
    const [first] = await waiting();
    const editing = vscode.commands.executeCommand("osmosis.proposals.edit", first);
    await vscode.commands.executeCommand("workbench.action.acceptSelectedQuickOpenItem");
    await editing;
    assert.equal((await waiting()).length, 2);
  });

  it("open leads to the place of one, discard takes it away", async () => {
    const [first, second] = await waiting();
    await vscode.commands.executeCommand("osmosis.proposals.open", second);
    const editor = vscode.window.activeTextEditor ?? assert.fail("no editor is active");
    assert.match(editor.document.lineAt(editor.selection.active.line).text, /busiest_rank|TODO/);
    await vscode.commands.executeCommand("osmosis.proposals.discard", first);
    assert.deepEqual(
      (await waiting()).map(({ key }) => key),
      [second?.key],
    );
  });

  it("shows what is found in the whole project, file by file", async () => {
    await vscode.commands.executeCommand("osmosis.proposals.discardAll");
    assert.equal(await vscode.commands.executeCommand("osmosis.generateProject"), undefined);
    const files = new Set((await waiting()).map(({ proposed: { uri } }) => uri));
    assert.ok(files.size > 3, [...files].join());
  });

  it("is left out where the setting says so", async () => {
    await vscode.commands.executeCommand("osmosis.proposals.discardAll");
    await withSetting("preview", "never", async () => {
      const { document } = await open(MARTS);
      assert.equal((await vscode.commands.executeCommand<Applied>("osmosis.generateFile")).filled, 2);
      assert.match(document.getText(), /Place of the day/);
      assert.deepEqual(await waiting(), []);
    });
  });

  it("is there for one description where the setting says so", async () => {
    await vscode.commands.executeCommand("osmosis.proposals.discardAll");
    await withSetting("preview", "always", async () => {
      const editor = await open(MARTS);
      const { document } = editor;
      const last = document.lineAt(document.lineCount - 1).range.end;
      await editor.edit((edit) => {
        edit.replace(new vscode.Range(after(document, "- name: trips\n"), last), "");
      });
      assert.equal(await vscode.commands.executeCommand("osmosis.generateFile"), undefined);
      assert.equal((await waiting()).length, 1);
    });
  });

  it("the report is shown as an editor page, and leads to a gap", async () => {
    const { report } = await api();
    await vscode.commands.executeCommand("osmosis.report");
    await reportIsActive();
    await report.receive({ open: 0 });
    assert.match(vscode.window.activeTextEditor?.document.fileName ?? "", /\.ya?ml$/);
    await report.receive({ open: "file:///etc/passwd" });
    await report.receive({ refresh: true });
    await reportIsActive();
    await vscode.commands.executeCommand("workbench.action.closeActiveEditor");
  });
});

async function reportIsActive(): Promise<void> {
  const { tabGroups } = vscode.window;
  const look = () => (tabGroups.activeTabGroup.activeTab?.label === "Coverage and Spend" ? true : undefined);
  await until(look, tabGroups.onDidChangeTabs, tabGroups.onDidChangeTabGroups);
}

/** Waits until no run is under way. */
async function idle(): Promise<void> {
  const { server } = await api();
  await until(() => (server.status?.running === 0 && server.status.calls > 0 ? true : undefined), server.onDidChange);
}

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
