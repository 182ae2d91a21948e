/** The extension's own environment for the server, made from the wheel that the extension carries. */

import * as crypto from "node:crypto";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { pathToFileURL } from "node:url";
import { onPath, type Python } from "./pythons";
import { run } from "./processes";

const MINUTES = 60_000;
/** What the server needs besides the core: the language server's libraries and the SDKs of all providers. */
const EXTRA = "all";

export class Environment {
  /**
   * @param carried - the folder with the wheel that the extension carries
   * @param storage - a folder of the extension's own, which lasts
   */
  constructor(
    private readonly carried: string,
    private readonly storage: string,
  ) {}

  /** Its Python, if it was made from this very wheel. */
  async find(): Promise<string | undefined> {
    const python = pythonOf(await this.#folder());
    return await fs.access(python).then(
      () => python,
      () => undefined,
    );
  }

  /**
   * Make it. It stands in its place only once it is complete, so two windows may do so at once.
   *
   * @throws ProcessFailed - with the end of what the installer said
   */
  async make(python: Python, signal: AbortSignal, report: (line: string) => void): Promise<string> {
    const folder = await this.#folder();
    await fs.mkdir(this.storage, { recursive: true });
    const draft = await fs.mkdtemp(path.join(this.storage, "draft-"));
    const made = path.join(draft, "server");
    try {
      const uv = await onPath("uv");
      const options = {
        cwd: this.storage,
        timeout: 10 * MINUTES,
        signal,
        onOutput: (text: string) => {
          text.split(/\r?\n/).filter((line) => line.trim() !== "").forEach(report);
        },
      };
      const requirement = `osmosis-synthesize[${EXTRA}] @ ${pathToFileURL(await this.#wheel()).href}`;
      if (uv === undefined) {
        await run(python.path, ["-I", "-m", "venv", made], options);
        const pip = ["-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"];
        await run(pythonOf(made), [...pip, requirement], options);
      } else {
        await run(uv, ["venv", "--no-project", "--python", python.path, made], options);
        await run(uv, ["pip", "install", "--python", pythonOf(made), requirement], options);
      }
      await fs.rename(made, folder).catch(async (error: unknown) => {
        if ((await this.find()) === undefined) {
          throw error;
        } // else another window was quicker
      });
    } finally {
      await fs.rm(draft, { recursive: true, force: true });
    }
    await this.#forgetOthers(folder);
    return pythonOf(folder);
  }

  async #wheel(): Promise<string> {
    const name = (await fs.readdir(this.carried)).find((file) => file.endsWith(".whl"));
    if (name === undefined) {
      throw new Error(`The extension is incomplete: ${this.carried} holds no wheel. Install it anew.`);
    }
    return path.join(this.carried, name);
  }

  /** Named for the content of the wheel, so that an update is another environment. */
  async #folder(): Promise<string> {
    const hash = crypto.createHash("sha256").update(await fs.readFile(await this.#wheel()));
    return path.join(this.storage, `server-${hash.digest("hex").slice(0, 16)}`);
  }

  /** Whether an environment of an older wheel is there: then the user has agreed to one before. */
  async wasMadeBefore(): Promise<boolean> {
    return (await this.#all()).length > 0;
  }

  async #all(): Promise<string[]> {
    const names = await fs.readdir(this.storage).catch(() => []);
    return names.filter((name) => name.startsWith("server-")).map((name) => path.join(this.storage, name));
  }

  async #forgetOthers(kept: string): Promise<void> {
    for (const folder of await this.#all()) {
      if (folder !== kept) {
        // One that another window still uses may resist; the next update tries again.
        await fs.rm(folder, { recursive: true, force: true }).catch(() => undefined);
      }
    }
  }
}

function pythonOf(folder: string): string {
  return process.platform === "win32" ? path.join(folder, "Scripts", "python.exe") : path.join(folder, "bin", "python");
}
