/** Asks the server's own code, in its Python. */

import { execFileSync } from "node:child_process";
import * as path from "node:path";

export const EXTENSION = path.resolve(__dirname, "../..");
export const PYTHON = process.env["OSMOSIS_PYTHON"] ?? path.resolve(EXTENSION, "..", ".venv", "bin", "python");

/** Run a piece of Python that reads JSON from standard input and prints JSON. */
export function python(source: string, input: unknown = null): unknown {
  const program = `import json, sys\ngiven = json.load(sys.stdin)\n${source}`;
  return JSON.parse(execFileSync(PYTHON, ["-c", program], { input: JSON.stringify(input), encoding: "utf8" }));
}
