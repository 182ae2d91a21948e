/** Finds a Python that is new enough for the server. */

import * as fs from "node:fs/promises";
import * as path from "node:path";
import { ProcessFailed, run } from "./processes";

/** The oldest Python that the server runs on. */
export const OLDEST = [3, 11] as const;

export interface Python {
  readonly path: string;
  /** As `3.12.4`. */
  readonly version: string;
}

const NAMES =
  process.platform === "win32"
    ? ["python.exe", "python3.exe"]
    : ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"];

const SAY = "import sys; print(sys.executable); print('%d.%d.%d' % sys.version_info[:3])";

/** The first suitable Python of the machine: on the PATH, or by Windows' launcher `py`. */
export async function findPython(cwd: string): Promise<Python | undefined> {
  const folders = (process.env["PATH"] ?? "").split(path.delimiter).filter((folder) => path.isAbsolute(folder));
  for (const name of NAMES) {
    for (const folder of folders) {
      const candidate = path.join(folder, name);
      if (await isFile(candidate)) {
        const python = await ask(candidate, [], cwd);
        if (python !== undefined) {
          return python;
        }
      }
    }
  }
  return process.platform === "win32" ? await ask("py", ["-3"], cwd) : undefined;
}

/** A Python as it describes itself, if it is new enough. */
export async function ask(command: string, args: readonly string[], cwd: string): Promise<Python | undefined> {
  try {
    const [executable, version] = (await run(command, [...args, "-I", "-c", SAY], { cwd, timeout: 20_000 })).split(/\r?\n/);
    return executable !== undefined && version !== undefined && isNewEnough(version)
      ? { path: executable, version }
      : undefined;
  } catch (error) {
    if (error instanceof ProcessFailed) {
      return undefined; // what cannot say its version is no Python of use
    }
    throw error;
  }
}

export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

/** A program on the PATH. */
export async function onPath(name: string): Promise<string | undefined> {
  const file = process.platform === "win32" ? `${name}.exe` : name;
  for (const folder of (process.env["PATH"] ?? "").split(path.delimiter)) {
    if (path.isAbsolute(folder) && (await isFile(path.join(folder, file)))) {
      return path.join(folder, file);
    }
  }
  return undefined;
}

async function isFile(file: string): Promise<boolean> {
  return await fs.stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
}
