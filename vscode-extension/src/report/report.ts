/** The editor page that tells how much is described and what was spent. */

import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import type { Connection } from "../common/connection";
import type { CheapGap } from "../common/messages";
import { type Figures, page, told } from "./page";

const TITLE = "Coverage and Spend";
const DAYS = 30;
const SECONDS_A_DAY = 86_400;

export class Report implements vscode.Disposable {
  #panel: vscode.WebviewPanel | undefined;
  #gaps: readonly CheapGap[] = [];

  constructor(private readonly connection: () => Connection | undefined) {}

  /** Show the page, with figures as they are now. */
  async show(): Promise<void> {
    const connection = this.connection();
    if (connection === undefined) {
      throw new Error("The language server does not run. Restart it first.");
    }
    const options = { location: vscode.ProgressLocation.Window, title: "Looking at coverage and spend" };
    const figures = await vscode.window.withProgress(options, () => figuresOf(connection));
    this.#gaps = figures.coverage.cheapest;
    const panel = (this.#panel ??= this.#open());
    panel.webview.html = page(figures, randomBytes(16).toString("base64"));
    panel.reveal();
  }

  /** What the page tells: a gap is to be opened, or the figures are to be had anew. */
  async receive(message: unknown): Promise<void> {
    const found = told(message, this.#gaps.length);
    if (found === undefined) {
      return;
    }
    const gap = "open" in found ? this.#gaps[found.open] : undefined;
    if (gap === undefined) {
      await this.show();
      return;
    }
    const selection = new vscode.Range(gap.line, 0, gap.line, 0);
    try {
      await vscode.window.showTextDocument(vscode.Uri.parse(gap.uri), { selection });
    } catch {
      void vscode.window.showInformationMessage(`${gap.label} gets its entry in a file that is still to be made.`);
    }
  }

  #open(): vscode.WebviewPanel {
    const panel = vscode.window.createWebviewPanel("osmosis.report", TITLE, vscode.ViewColumn.Active, {
      enableScripts: true,
      localResourceRoots: [],
      enableFindWidget: true,
    });
    panel.onDidDispose(() => (this.#panel = undefined));
    panel.webview.onDidReceiveMessage((message: unknown) => this.receive(message));
    return panel;
  }

  dispose(): void {
    this.#panel?.dispose();
  }
}

async function figuresOf(connection: Connection): Promise<Figures> {
  const since = Date.now() / 1000 - DAYS * SECONDS_A_DAY;
  const [coverage, days, models] = await Promise.all([
    connection.execute("osmosis.coverage", null),
    connection.execute("osmosis.spend", { by: "day", since }),
    connection.execute("osmosis.spend", { by: "model" }),
  ]);
  return { coverage, days: [...days].sort((one, other) => (one.label < other.label ? -1 : 1)), models };
}
