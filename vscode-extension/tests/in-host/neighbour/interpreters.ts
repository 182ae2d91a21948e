/** What the Python extension exports, as far as others learn from it which interpreter is chosen. */

import * as vscode from "vscode";

export interface Environments {
  getActiveEnvironmentPath(): { readonly path: string };
  resolveEnvironment(environment: { readonly path: string }): Promise<{ readonly executable: { readonly uri: vscode.Uri } }>;
  updateActiveEnvironmentPath(path: string): Promise<void>;
  readonly onDidChangeActiveEnvironmentPath: vscode.Event<unknown>;
}

export function interpreters(): Environments {
  const changed = new vscode.EventEmitter<unknown>();
  let chosen = "/nowhere/python";
  return {
    getActiveEnvironmentPath: () => ({ path: chosen }),
    resolveEnvironment: ({ path }) => Promise.resolve({ executable: { uri: vscode.Uri.file(path) } }),
    updateActiveEnvironmentPath: (path) => {
      chosen = path;
      changed.fire({ path });
      return Promise.resolve();
    },
    onDidChangeActiveEnvironmentPath: changed.event,
  };
}
