/** The dbt projects of the window: where the extension is at work, and nowhere else. */

import * as path from "node:path";
import * as vscode from "vscode";
import type { DocumentSelector } from "vscode-languageclient/node";

const PROJECT_FILE = "dbt_project.yml";
/** Folders that hold other people's projects, or copies. */
const EXCLUDED = "**/{dbt_packages,dbt_modules,dbt_internal_packages,node_modules,site-packages,target,.git}/**";
const LANGUAGES = ["yaml", "jinja-yaml", "sql", "jinja-sql"] as const;

export class Projects implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<void>();
  /** A project has come or gone. */
  readonly onDidChange = this.#changed.event;
  readonly #listening: vscode.Disposable;
  /** Whether there is a project file in a folder. */
  readonly #looked = new Map<string, Promise<boolean>>();
  #roots: ReadonlySet<string> = new Set();
  /** How often all were looked for: what an earlier search finds last is not the latest. */
  #searches = 0;

  constructor() {
    const watcher = vscode.workspace.createFileSystemWatcher(`**/${PROJECT_FILE}`, false, true, false);
    const again = () => {
      this.#looked.clear();
      void this.refresh();
    };
    this.#listening = vscode.Disposable.from(
      watcher,
      watcher.onDidCreate(again),
      watcher.onDidDelete(again),
      vscode.workspace.onDidChangeWorkspaceFolders(again),
      vscode.workspace.onDidOpenTextDocument((document) => void this.#lookAround(document)),
    );
  }

  /** Their folders, as paths. */
  get roots(): readonly string[] {
    return [...this.#roots];
  }

  /** The documents of all of them. */
  get selector(): readonly vscode.DocumentFilter[] {
    return editorSelector(this.roots);
  }

  /** Find all projects of the workspace, of the folders above it, and of the open files. */
  async refresh(): Promise<void> {
    const search = ++this.#searches;
    const files = await vscode.workspace.findFiles(`**/${PROJECT_FILE}`, EXCLUDED);
    const inside = files.filter((file) => file.scheme === "file").map((file) => path.dirname(file.fsPath));
    const folders = (vscode.workspace.workspaceFolders ?? []).filter((folder) => folder.uri.scheme === "file");
    const around = [
      ...folders.map((folder) => folder.uri.fsPath),
      ...vscode.workspace.textDocuments.filter(isOurs).map((document) => path.dirname(document.uri.fsPath)),
    ];
    const above = await Promise.all(around.map((folder) => this.#above(folder)));
    if (search === this.#searches) {
      this.#put(new Set([...inside, ...above.filter((root) => root !== undefined)]));
    }
  }

  async #lookAround(document: vscode.TextDocument): Promise<void> {
    const folder = path.dirname(document.uri.fsPath);
    if (isOurs(document) && !this.roots.some((root) => isBelow(folder, root))) {
      const root = await this.#above(folder);
      if (root !== undefined) {
        this.#put(new Set([...this.#roots, root]));
      }
    }
  }

  /** The nearest folder with a project file, from `folder` upwards. */
  async #above(folder: string): Promise<string | undefined> {
    for (let here = folder; ; here = path.dirname(here)) {
      let found = this.#looked.get(here);
      if (found === undefined) {
        found = exists(vscode.Uri.file(path.join(here, PROJECT_FILE)));
        this.#looked.set(here, found);
      }
      if (await found) {
        return here;
      }
      if (path.dirname(here) === here) {
        return undefined;
      }
    }
  }

  #put(roots: ReadonlySet<string>): void {
    if (roots.size !== this.#roots.size || [...roots].some((root) => !this.#roots.has(root))) {
      this.#roots = roots;
      this.#changed.fire();
    }
  }

  dispose(): void {
    this.#listening.dispose();
    this.#changed.dispose();
  }
}

/**
 * The documents of some projects. In a remote window the extension runs where the files are, so that they have the scheme
 * `file` for it there too; chat boxes, notebooks, untitled texts and comparisons have others, and are none of ours.
 */
export function editorSelector(roots: readonly string[]): vscode.DocumentFilter[] {
  return roots.flatMap((root) => {
    const pattern = new vscode.RelativePattern(vscode.Uri.file(root), "**");
    return LANGUAGES.map((language) => ({ scheme: "file", language, pattern }));
  });
}

/** The same as the protocol says it. */
export function serverSelector(roots: readonly string[]): DocumentSelector {
  return roots.flatMap((root) => {
    const pattern = { baseUri: vscode.Uri.file(root).toString(), pattern: "**" };
    return LANGUAGES.map((language) => ({ scheme: "file", language, pattern }));
  });
}

function isOurs(document: vscode.TextDocument): boolean {
  return document.uri.scheme === "file" && LANGUAGES.some((language) => language === document.languageId);
}

/** Whether a file or folder lies in another folder, or is it. */
export function isBelow(folder: string, root: string): boolean {
  const relative = path.relative(root, folder);
  return !relative.startsWith("..") && !path.isAbsolute(relative);
}

async function exists(uri: vscode.Uri): Promise<boolean> {
  try {
    await vscode.workspace.fs.stat(uri);
    return true;
  } catch {
    return false; // there is no such file, or it may not be read: either way it is no project of ours
  }
}
