/** Beside the language's name, for a file of a dbt project: how old its manifest is, and who is asked. */

import * as vscode from "vscode";
import type { ProjectStatus, Status } from "./messages";
import { isBelow, editorSelector } from "./projects";
import { dollars, manifestText, providerText } from "./wording";

export class LanguageStatus implements vscode.Disposable {
  readonly #manifest = vscode.languages.createLanguageStatusItem("osmosis.manifest", []);
  readonly #provider = vscode.languages.createLanguageStatusItem("osmosis.provider", []);
  readonly #listening: vscode.Disposable;
  #status: Status | undefined;
  #received = 0;

  constructor() {
    this.#manifest.name = "dbt manifest";
    this.#manifest.command = { title: "Run dbt parse", command: "osmosis.dbtParse" };
    this.#provider.name = "osmosis provider";
    this.#provider.command = { title: "Choose…", command: "osmosis.chooseProvider" };
    this.#listening = vscode.window.onDidChangeActiveTextEditor(() => {
      this.#update();
    });
  }

  show(status: Status | undefined): void {
    this.#status = status;
    this.#received = Date.now();
    this.#update();
  }

  #update(): void {
    const projects = this.#status?.projects ?? [];
    const file = vscode.window.activeTextEditor?.document.uri.fsPath;
    const project = projects.find((one) => file !== undefined && isBelow(file, one.root)) ?? projects[0];
    const selector = editorSelector(projects.map((one) => one.root));
    this.#manifest.selector = selector;
    this.#provider.selector = selector;
    if (project !== undefined) {
      this.#tell(project);
    }
  }

  #tell(project: ProjectStatus): void {
    const { text, detail, worrying } = manifestText(project, (Date.now() - this.#received) / 1000);
    this.#manifest.text = text;
    this.#manifest.detail = detail;
    this.#manifest.severity = worrying ? vscode.LanguageStatusSeverity.Warning : vscode.LanguageStatusSeverity.Information;
    this.#provider.text = providerText(project);
    this.#provider.detail = project.budgetRun === null ? "no budget for a run" : `at most ${dollars(project.budgetRun)} a run`;
  }

  dispose(): void {
    vscode.Disposable.from(this.#manifest, this.#provider, this.#listening).dispose();
  }
}
