/** Asks before anything is installed, and shows how it goes. */

import * as vscode from "vscode";
import type { Environment } from "./environment";
import { ask, findPython, OLDEST, type Python } from "./pythons";

const INSTALL = "Install";
const CHOOSE = "Choose a Python…";

/** Gives the Python of the extension's own environment; makes it if the user agrees. */
export function installation(
  environment: Environment,
  storage: string,
  log: vscode.LogOutputChannel,
): (mayAsk: boolean) => Promise<string | undefined> {
  return async (mayAsk) => {
    const found = await environment.find();
    if (found !== undefined) {
      return found;
    }
    const python = await findPython(storage);
    const agreed = await environment.wasMadeBefore();
    const chosen = agreed && python !== undefined ? python : mayAsk ? await consent(python, storage) : undefined;
    if (chosen === undefined) {
      return undefined;
    }
    const title = agreed ? "Updating the osmosis language server" : "Installing the osmosis language server";
    return await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title, cancellable: true },
      async (progress, token) => {
        const stop = new AbortController();
        token.onCancellationRequested(() => {
          stop.abort();
        });
        return await environment.make(chosen, stop.signal, (line) => {
          log.info(line);
          progress.report({ message: line.trim().slice(0, 80) });
        });
      },
    );
  };
}

async function consent(python: Python | undefined, storage: string): Promise<Python | undefined> {
  const where =
    python === undefined
      ? `No Python ${OLDEST.join(".")} or newer was found.`
      : `It would be made with Python ${python.version} (${python.path}).`;
  const answer = await vscode.window.showInformationMessage(
    `osmosis-synthesize needs its language server. It can be installed into an environment of the extension's own; its libraries come from PyPI. ${where}`,
    ...(python === undefined ? [CHOOSE] : [INSTALL, CHOOSE]),
  );
  if (answer === INSTALL) {
    return python;
  }
  return answer === CHOOSE ? await choose(storage) : undefined;
}

async function choose(storage: string): Promise<Python | undefined> {
  const files = await vscode.window.showOpenDialog({ title: "A Python of 3.11 or newer", openLabel: "Use" });
  const file = files?.[0];
  if (file === undefined) {
    return undefined;
  }
  const python = await ask(file.fsPath, [], storage);
  if (python === undefined) {
    void vscode.window.showErrorMessage(`${file.fsPath} is no Python ${OLDEST.join(".")} or newer.`);
  }
  return python;
}
