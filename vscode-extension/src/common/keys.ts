/** Keys: kept in the editor's secret storage, handed to the server in its environment, and written nowhere else. */

import * as vscode from "vscode";
import { keyVariable, PROVIDERS } from "./providers";

/** The storage cannot list what it holds, so the names of the variables, which are no secret, stand in the state. */
const NAMES = "keys";

export class Keys {
  /** A key was set or removed, here or in another window. */
  readonly onDidChange: vscode.Event<unknown>;

  constructor(
    private readonly secrets: vscode.SecretStorage,
    private readonly state: vscode.Memento,
  ) {
    this.onDidChange = secrets.onDidChange;
  }

  /** The keys, by the variables that the server looks for them in. */
  async environment(): Promise<Record<string, string>> {
    const pairs = await Promise.all(
      this.variables.map(async (variable) => [variable, await this.secrets.get(variable)] as const),
    );
    return Object.fromEntries(pairs.filter((pair): pair is [string, string] => pair[1] !== undefined));
  }

  /** The variables that a key was set for. */
  get variables(): readonly string[] {
    return this.state.get<readonly string[]>(NAMES, []);
  }

  async set(variable: string, key: string): Promise<void> {
    await this.state.update(NAMES, [...new Set([...this.variables, variable])]);
    await this.secrets.store(variable, key);
  }

  async remove(variable: string): Promise<void> {
    await this.state.update(
      NAMES,
      this.variables.filter((other) => other !== variable),
    );
    await this.secrets.delete(variable);
  }
}

/** Ask for a key. For which provider is asked too, unless it is said. */
export async function askForKey(keys: Keys, provider?: string): Promise<void> {
  const title = "Set a Key";
  const chosen = provider ?? (await vscode.window.showQuickPick(PROVIDERS, { title, placeHolder: "For which provider?" }));
  if (chosen === undefined) {
    return;
  }
  const key = await vscode.window.showInputBox({
    title: `${title} for ${chosen}`,
    prompt: "It is kept in the editor's secret storage and given to the language server only.",
    password: true,
    ignoreFocusOut: true,
    validateInput: (text) => (text.trim() === "" ? "A key is not empty." : undefined),
  });
  if (key !== undefined) {
    await keys.set(keyVariable(chosen), key.trim());
  }
}

/** Ask which key is to be forgotten. */
export async function askToRemoveKey(keys: Keys): Promise<void> {
  if (keys.variables.length === 0) {
    void vscode.window.showInformationMessage("No key was set here. Those in the environment are not ours to remove.");
    return;
  }
  const variable = await vscode.window.showQuickPick(keys.variables, { title: "Remove a Key", placeHolder: "Which one?" });
  if (variable !== undefined) {
    await keys.remove(variable);
  }
}
