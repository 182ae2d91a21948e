/** What a command of the palette acts on: the column, the model or the file at the cursor. */

import * as vscode from "vscode";
import type { Target } from "./messages";

const GENERATE_COLUMN = "osmosis.generateColumn";
const GENERATE_MODEL = "osmosis.generateModel";

/** The target of a `generate…` command; undefined where there is nothing of the kind, which the user is told. */
export async function targetOf(command: string): Promise<Target | undefined> {
  const editor = vscode.window.activeTextEditor;
  if (editor === undefined) {
    void vscode.window.showInformationMessage("Open a schema file or a model first: the command acts on what is at the cursor.");
    return undefined;
  }
  if (command !== GENERATE_COLUMN && command !== GENERATE_MODEL) {
    return { uri: editor.document.uri.toString() };
  }
  const found = (await fromActions(editor, command)) ?? (command === GENERATE_MODEL ? await fromLenses(editor) : undefined);
  if (found === undefined) {
    const what = command === GENERATE_COLUMN ? "column" : "model";
    void vscode.window.showInformationMessage(`There is no ${what} at the cursor for which a description has to be generated.`);
    return undefined;
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
