/** The Python that was chosen for the workspace. */

import * as path from "node:path";
import * as vscode from "vscode";

/** What we use of the Python extension. It is not required. */
interface PythonExtension {
  readonly environments: {
    getActiveEnvironmentPath(resource?: vscode.Uri): { readonly path: string };
    resolveEnvironment(
      environment: { readonly path: string },
    ): Promise<{ readonly executable: { readonly uri: vscode.Uri | undefined } } | undefined>;
    readonly onDidChangeActiveEnvironmentPath: vscode.Event<unknown>;
  };
}

const ID = "ms-python.python";
const USUAL = process.platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"];

/** Paths of Pythons to look into, the likeliest first. None in a workspace that is not trusted: they are its files. */
export async function interpretersOf(roots: readonly string[]): Promise<string[]> {
  if (!vscode.workspace.isTrusted) {
    return [];
  }
  const chosen = await chosenInterpreters();
  const folders = (vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath);
  const usual = [...folders, ...roots].flatMap((folder) =>
    [".venv", "venv"].map((name) => path.join(folder, name, ...USUAL)),
  );
  return [...new Set([...chosen, ...usual])];
}

/** Calls `changed` whenever another interpreter is chosen. */
export function watchInterpreter(changed: () => void): vscode.Disposable {
  const listening = pythonExtension().then((python) => python?.environments.onDidChangeActiveEnvironmentPath(changed));
  return new vscode.Disposable(async () => {
    (await listening)?.dispose();
  });
}

async function chosenInterpreters(): Promise<string[]> {
  const python = await pythonExtension();
  if (python === undefined) {
    return [];
  }
  const resources = [undefined, ...(vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri)];
  const found = await Promise.all(
    resources.map(async (resource) => {
      const active = python.environments.getActiveEnvironmentPath(resource);
      return (await python.environments.resolveEnvironment(active))?.executable.uri?.fsPath;
    }),
  );
  return found.filter((one) => one !== undefined);
}

async function pythonExtension(): Promise<PythonExtension | undefined> {
  const extension = vscode.extensions.getExtension<PythonExtension | undefined>(ID);
  try {
    return await extension?.activate();
  } catch {
    return undefined; // its own trouble, which it tells the user about
  }
}
