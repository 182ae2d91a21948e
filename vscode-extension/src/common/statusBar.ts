/** The item of the status bar. */

import * as vscode from "vscode";
import type { Status } from "./messages";
import type { ServerState } from "./state";
import { barText, barTooltip } from "./wording";

const COLOURS: Partial<Record<ServerState["kind"], vscode.ThemeColor>> = {
  failed: new vscode.ThemeColor("statusBarItem.errorBackground"),
  waiting: new vscode.ThemeColor("statusBarItem.warningBackground"),
};

export class StatusBar implements vscode.Disposable {
  readonly #item = vscode.window.createStatusBarItem("osmosis.status", vscode.StatusBarAlignment.Right, 50);

  constructor() {
    this.#item.name = "osmosis";
    this.#item.command = "osmosis.menu";
  }

  show(state: ServerState, status: Status | undefined): void {
    if (state.kind === "idle") {
      this.#item.hide();
      return;
    }
    const lines = barTooltip(state, status);
    this.#item.text = barText(state, status);
    this.#item.tooltip = new vscode.MarkdownString(lines.join("\n\n"));
    this.#item.accessibilityInformation = { label: `osmosis: ${lines.join(". ").replaceAll(/[*`]/g, "")}`, role: "button" };
    this.#item.backgroundColor = COLOURS[state.kind];
    this.#item.show();
  }

  /** For tests: what is shown. */
  get text(): string {
    return this.#item.text;
  }

  dispose(): void {
    this.#item.dispose();
  }
}
