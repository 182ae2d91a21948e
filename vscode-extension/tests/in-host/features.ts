/** What the editor's own features get from the server, asked for as the editor does. */

import assert from "node:assert/strict";
import * as vscode from "vscode";
import { actionAt, after, api, open, perform, root, running, suite, until } from "./harness";

const MARTS = "models/marts/_marts.yml";
const STAGING = "models/staging/_staging.yml";

export const run = suite("features", () => {
  describe("in a schema file of the demo project", () => {
    before(async () => {
      await running();
    });

    it("gaps are in the Problems list, as hints", async () => {
      const { document } = await open(MARTS);
      const gap = await diagnostic(document, /ended_at/);
      assert.equal(gap.source, "osmosis");
      assert.equal(gap.severity, vscode.DiagnosticSeverity.Hint);
      assert.equal(document.getText(gap.range), "ended_at");
    });

    it("hovering over a column tells what a call would cost", async () => {
      const { document } = await open(MARTS);
      const text = await hover(document, after(document, "- name: duration_min"), /\$/);
      assert.match(text, /tokens in/);
    });

    it("a generated description is one code action away, and one undo takes it back", async () => {
      const { document } = await open(MARTS);
      const before = document.getText();
      const action = await actionAt(document, after(document, "- name: duration_min"), /^Generate description for `duration_minutes`/);
      assert.ok(action.kind && vscode.CodeActionKind.QuickFix.contains(action.kind));
      await perform(action);
      assert.match(document.getText(), /- name: duration_minutes\n +description: Minutes from unlocking the bike/);
      assert.ok(document.isDirty);
      await vscode.commands.executeCommand("undo");
      assert.equal(document.getText(), before);
    });

    it("what is inherited is an edit that costs nothing", async () => {
      const { server } = await api();
      const { document } = await open(STAGING);
      const action = await actionAt(document, after(document, "- name: station_na"), /^Inherit description from/);
      const calls = server.status?.calls;
      assert.ok(action.isPreferred);
      await perform(action);
      assert.match(document.getText(), /- name: station_name\n {4}description: /);
      assert.equal(server.status?.calls, calls);
      await vscode.commands.executeCommand("undo");
    });

    it("a line over each model with gaps says how many and what they take", async () => {
      const { document } = await open(MARTS);
      const lens = await lensAt(document, after(document, "- name: fct_rentals").line);
      assert.match(lens.command?.title ?? "", /^\d+ gaps: /);
      assert.equal(lens.command?.command, "osmosis.generateModel");
    });

    it("plain completion offers a text where a description is empty", async () => {
      const editor = await open(MARTS);
      const place = after(editor.document, "- name: ended_at");
      await editor.edit((edit) => {
        edit.insert(place, "\n        description: ");
      });
      const spot = editor.document.lineAt(place.line + 1).range.end;
      const { server } = await api();
      const item = await until(
        async () => {
          const list = await vscode.commands.executeCommand<vscode.CompletionList>(
            "vscode.executeCompletionItemProvider",
            editor.document.uri,
            spot,
          );
          return list.items.find((one) => one.detail?.includes("inherit") ?? one.detail?.includes("stg_rentals"));
        },
        vscode.languages.onDidChangeDiagnostics,
        server.onDidChange,
      ).finally(() => vscode.commands.executeCommand("undo"));
      assert.ok(item);
    });

    it("going to the definition of a column leads to what it is made of", async () => {
      const { document } = await open(MARTS);
      const found = await vscode.commands.executeCommand<(vscode.Location | vscode.LocationLink)[]>(
        "vscode.executeDefinitionProvider",
        document.uri,
        after(document, "- name: ended_a"),
      );
      assert.ok(found.length > 0);
    });
  });

  describe("in a model's SQL", () => {
    it("a line at the top leads to the gaps of its schema entry", async () => {
      const { document } = await open("models/marts/fct_rentals.sql");
      const lens = await lensAt(document, 0);
      assert.match(lens.command?.title ?? "", /gaps/);
    });

    it("a column of its output is described by a code action there, in the schema file", async () => {
      const { document } = await open("models/marts/fct_rentals.sql");
      await perform(await actionAt(document, after(document, "rentals.duration_min"), /^Generate description for `duration_minutes`/));
      const schema = await vscode.workspace.openTextDocument(vscode.Uri.joinPath(root(), MARTS));
      assert.match(schema.getText(), /- name: duration_minutes\n +description: Minutes from unlocking the bike/);
      assert.ok(!document.isDirty);
      await vscode.window.showTextDocument(schema);
      await vscode.commands.executeCommand("workbench.action.files.revert");
    });
  });

  describe("elsewhere", () => {
    it("an untitled YAML text is left alone", async () => {
      const document = await vscode.workspace.openTextDocument({
        language: "yaml",
        content: "version: 2\nmodels:\n  - name: fct_rentals\n    columns:\n      - name: ended_at\n",
      });
      await vscode.window.showTextDocument(document);
      assert.deepEqual(await everything(document), []);
      await vscode.commands.executeCommand("workbench.action.revertAndCloseActiveEditor");
    });

    it("the languages of both YAML and SQL are known with and without Jinja", async () => {
      const { document } = await open(STAGING);
      const known = await vscode.languages.getLanguages();
      // Contributed by other extensions, where these are installed; the selector has them either way.
      const selector = (await api()).projects.selector;
      for (const language of ["yaml", "jinja-yaml", "sql", "jinja-sql"]) {
        assert.ok(selector.some((filter) => filter.language === language && filter.scheme === "file"));
      }
      assert.ok(known.includes(document.languageId));
      assert.ok(vscode.languages.match(selector, document) > 0);
    });

    it("a YAML file outside of the project is left alone", async () => {
      const uri = vscode.Uri.joinPath(root(), "..", "elsewhere.yml");
      await vscode.workspace.fs.writeFile(uri, Buffer.from("models:\n  - name: fct_rentals\n    columns:\n      - name: ended_at\n"));
      const document = await vscode.workspace.openTextDocument(uri);
      await vscode.window.showTextDocument(document);
      assert.equal(vscode.languages.match((await api()).projects.selector, document), 0);
      assert.deepEqual(await everything(document), []);
    });
  });
});

async function diagnostic(document: vscode.TextDocument, message: RegExp): Promise<vscode.Diagnostic> {
  return await until(
    () => vscode.languages.getDiagnostics(document.uri).find((one) => message.test(one.message)),
    vscode.languages.onDidChangeDiagnostics,
  );
}

async function hover(document: vscode.TextDocument, place: vscode.Position, wanted: RegExp): Promise<string> {
  const { server } = await api();
  return await until(
    async () => {
      const hovers = await vscode.commands.executeCommand<vscode.Hover[]>("vscode.executeHoverProvider", document.uri, place);
      const text = hovers.flatMap((one) => one.contents.map((part) => (part instanceof vscode.MarkdownString ? part.value : ""))).join("\n");
      return wanted.test(text) ? text : undefined;
    },
    vscode.languages.onDidChangeDiagnostics,
    server.onDidChange,
  );
}

async function lensAt(document: vscode.TextDocument, line: number): Promise<vscode.CodeLens> {
  const { server } = await api();
  return await until(
    async () => {
      const lenses = await vscode.commands.executeCommand<vscode.CodeLens[]>("vscode.executeCodeLensProvider", document.uri);
      return lenses.find((one) => one.range.start.line === line && one.command?.title.includes(":"));
    },
    vscode.languages.onDidChangeDiagnostics,
    server.onDidChange,
  );
}

/** All that any provider says of a document. */
async function everything(document: vscode.TextDocument): Promise<unknown[]> {
  const place = after(document, "ended_a");
  const range = new vscode.Range(place, place);
  const ask = async (command: string, ...args: unknown[]) =>
    await vscode.commands.executeCommand<unknown[]>(`vscode.execute${command}`, document.uri, ...args);
  return [
    ...(await ask("HoverProvider", place)),
    ...(await ask("CodeActionProvider", range)),
    ...(await ask("CodeLensProvider")),
    ...vscode.languages.getDiagnostics(document.uri).filter((one) => one.source === "osmosis"),
  ];
}
