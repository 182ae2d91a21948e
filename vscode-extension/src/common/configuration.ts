/** What the user has set. */

import * as vscode from "vscode";
import { AT_START, OWN, SECTION } from "./settings";

/** A setting, if a user or a workspace has set it. A default is left out: it would hide what the project's own files say. */
export function valueSet(name: string): unknown {
  const found = vscode.workspace.getConfiguration(SECTION).inspect<unknown>(name);
  return found?.workspaceFolderValue ?? found?.workspaceValue ?? found?.globalValue;
}

/** A setting that is a path; undefined where it is empty. */
export function pathSet(name: string): string | undefined {
  const value = valueSet(name);
  return typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;
}

/** Calls `changed` when a setting has changed that a server is told, or chosen by, at its start only. */
export function onStartSettings(changed: () => void): vscode.Disposable {
  return vscode.workspace.onDidChangeConfiguration((event) => {
    if ([...OWN, ...AT_START].some((name) => event.affectsConfiguration(`${SECTION}.${name}`))) {
      changed();
    }
  });
}
