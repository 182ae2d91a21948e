/** What a command of the palette acts on: the column, the model or the file at the cursor. */

import * as vscode from "vscode";
import type { Commands, Target } from "./messages";

const GENERATE_MODEL = "osmosis.generateModel";

/** What the commands are for that act on something at the cursor; all others act on the file. */
const AT_CURSOR: Partial<Record<keyof Commands, string>> = {
  "osmosis.generateColumn": "column for which a description could be generated",
  "osmosis.generateModel": "model for which descriptions could be generated",
  "osmosis.rewrite": "description that could be rewritten",
};

/** The target of a command; undefined where there is nothing of the kind, which the user is told. */
export async function targetOf(command: keyof Commands): Promise<Target | undefined> {
  const editor = vscode.window.activeTextEditor;
  if (editor === undefined) {
    void vscode.window.showInformationMessage("Open a schema file or a model first: the command acts on what is there.");
    return undefined;
  }
  const wanted = AT_CURSOR[command];
  if (wanted === undefined) {
    return { uri: editor.document.uri.toString() };
  }
  const lens = command === GENERATE_MODEL ? await fromLenses(editor) : undefined;
  const found = lens ?? (await fromActions(editor, command));
  if (found === undefined) {
    void vscode.window.showInformationMessage(`There is no ${wanted} at the cursor.`);
  }
  return found;
}

/** What the server offers at the cursor under this very command. */
async function fromActions(editor: vscode.TextEditor, command: string): Promise<Target | undefined> {
  const actions = await vscode.commands.executeCommand<(vscode.CodeAction | vscode.Command)[]>(
    "vscode.executeCodeActionProvider",
    editor.document.uri,
    editor.selection,
  );
  const commands = actions.map((action) => (typeof action.command === "string" ? (action as vscode.Command) : action.command));
  return commands.find((one) => one?.command === command)?.arguments?.[0] as Target | undefined;
}

/** The nearest line over a model, from the cursor upwards. */
async function fromLenses(editor: vscode.TextEditor): Promise<Target | undefined> {
  const lenses = await vscode.commands.executeCommand<vscode.CodeLens[]>(
    "vscode.executeCodeLensProvider",
    editor.document.uri,
  );
  const above = lenses
    .filter((lens) => lens.command?.command === GENERATE_MODEL)
    .filter((lens) => lens.range.start.line <= editor.selection.active.line)
    .sort((one, other) => other.range.start.line - one.range.start.line);
  return above[0]?.command?.arguments?.[0] as Target | undefined;
}
