/** The extension's own environment from the user's side: asked for, made with progress, kept up to date. */

import * as vscode from "vscode";
import type { Environment } from "./environment";
import type { Server } from "./server";
import { ask, findPython, OLDEST, type Python } from "./pythons";

const INSTALL = "Install";
const CHOOSE = "Choose a Python…";
const NEEDED = `Python ${OLDEST.join(".")} or newer`;

export class Installation {
  /** @param storage - a folder of the extension's own, in which programs are started */
  constructor(
    private readonly environment: Environment,
    private readonly storage: string,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  /** The Python of the environment, if the user has agreed to one before. An outdated one is made anew. */
  async python(): Promise<string | undefined> {
    const found = await this.environment.find();
    if (found !== undefined || !(await this.environment.wasMadeBefore())) {
      return found;
    }
    const python = await findPython(this.storage);
    return python === undefined ? undefined : await this.#make(python, "Updating the osmosis language server");
  }

  /**
   * Ask, and make the environment.
   *
   * @returns whether it is there now
   * @throws ProcessFailed - with the end of what the installer said
   */
  async install(): Promise<boolean> {
    const python = await this.#consent(await findPython(this.storage));
    if (python === undefined) {
      return false;
    }
    await this.#make(python, "Installing the osmosis language server");
    return true;
  }

  async #make(python: Python, title: string): Promise<string> {
    return await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title, cancellable: true },
      async (progress, token) => {
        const stop = new AbortController();
        token.onCancellationRequested(() => {
          stop.abort();
        });
        return await this.environment.make(python, stop.signal, (line) => {
          this.log.info(line);
          progress.report({ message: line.trim().slice(0, 80) });
        });
      },
    );
  }

  async #consent(python: Python | undefined): Promise<Python | undefined> {
    const how =
      python === undefined
        ? `No ${NEEDED} was found for that.`
        : `It would be made with Python ${python.version} (${python.path}).`;
    const answer = await vscode.window.showInformationMessage(
      `osmosis-synthesize needs its language server, in an environment of the extension's own; its libraries come from PyPI. ${how}`,
      ...(python === undefined ? [CHOOSE] : [INSTALL, CHOOSE]),
    );
    if (answer === INSTALL) {
      return python;
    }
    return answer === CHOOSE ? await this.#choose() : undefined;
  }

  async #choose(): Promise<Python | undefined> {
    const files = await vscode.window.showOpenDialog({ title: `A ${NEEDED}`, openLabel: "Use" });
    const file = files?.[0]?.fsPath;
    if (file === undefined) {
      return undefined;
    }
    const python = await ask(file, [], this.storage);
    if (python === undefined) {
      void vscode.window.showErrorMessage(`${file} is no ${NEEDED}.`);
    }
    return python;
  }
}

/** Offers the installation the first time that there is no server. */
export function offerOnce(server: Server): vscode.Disposable {
  const listening = server.onDidChange(() => {
    if (server.state.kind === "failed" && server.state.canInstall) {
      listening.dispose();
      void vscode.commands.executeCommand("osmosis.install");
    }
  });
  return listening;
}
