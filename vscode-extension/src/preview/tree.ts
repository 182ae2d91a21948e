/** The proposed texts as a tree: files, their models, their descriptions. All that is shown is plain text. */

import * as vscode from "vscode";
import { type Branch, detailsOf, type File, lineOf, originOf, placeOf, textsOf } from "./proposals";

const ICONS = { inherited: "type-hierarchy-super", cached: "history", stated: "law", generated: "sparkle" } as const;

export class Tree implements vscode.TreeDataProvider<Branch>, vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.#changed.event;
  #files: readonly File[] = [];

  put(files: readonly File[]): void {
    this.#files = files;
    this.#changed.fire(undefined);
  }

  /** The text with a key. */
  find(key: string): Branch | undefined {
    return this.#files.flatMap(textsOf).find((text) => text.key === key);
  }

  getChildren(branch?: Branch): Branch[] {
    switch (branch?.kind) {
      case undefined:
        return [...this.#files];
      case "file":
        return [...branch.models];
      case "model":
        return [...branch.texts];
      case "text":
        return [];
    }
  }

  getParent(branch: Branch): Branch | undefined {
    const models = this.#files.flatMap((file) => file.models);
    switch (branch.kind) {
      case "file":
        return undefined;
      case "model":
        return this.#files.find((file) => file.models.some(({ key }) => key === branch.key));
      case "text":
        return models.find((model) => model.texts.some(({ key }) => key === branch.key));
    }
  }

  getTreeItem(branch: Branch): vscode.TreeItem {
    const item = new vscode.TreeItem("", vscode.TreeItemCollapsibleState.Expanded);
    item.id = `${branch.kind} ${branch.key}`;
    item.contextValue = branch.kind;
    const texts = textsOf(branch);
    const areChecked = texts.every(({ isChecked }) => isChecked);
    item.checkboxState = areChecked ? vscode.TreeItemCheckboxState.Checked : vscode.TreeItemCheckboxState.Unchecked;
    switch (branch.kind) {
      case "file":
        item.label = vscode.workspace.asRelativePath(vscode.Uri.parse(branch.uri));
        item.iconPath = vscode.ThemeIcon.File;
        item.resourceUri = vscode.Uri.parse(branch.uri);
        item.description = counted(texts.length);
        break;
      case "model":
        item.label = branch.label;
        item.iconPath = new vscode.ThemeIcon("table");
        item.description = counted(texts.length);
        break;
      case "text":
        item.collapsibleState = vscode.TreeItemCollapsibleState.None;
        item.label = placeOf(branch);
        item.iconPath = new vscode.ThemeIcon(branch.text === branch.proposed.new ? ICONS[branch.proposed.origin] : "edit");
        item.description = lineOf(branch);
        item.tooltip = detailsOf(branch);
        item.accessibilityInformation = { label: `${branch.proposed.label}: ${branch.text} (${originOf(branch)})` };
        break;
    }
    return item;
  }

  dispose(): void {
    this.#changed.dispose();
  }
}

function counted(number: number): string {
  return `${String(number)} ${number === 1 ? "description" : "descriptions"}`;
}
