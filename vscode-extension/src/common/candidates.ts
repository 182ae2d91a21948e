/** Where a server may be found, in the order in which that is tried. */

import * as fs from "node:fs/promises";
import { pathSet } from "./configuration";
import { interpretersOf } from "./interpreter";

/** One way to start the server. */
export interface Candidate {
  /** For messages. */
  readonly label: string;
  readonly origin: "setting" | "interpreter" | "own";
  readonly command: string;
  readonly args: readonly string[];
  /** What brings a server of the right version there. */
  readonly update: string;
}

const PACKAGE = "osmosis-synthesize[all]";
/** `-P` keeps the folder that the server is started in, and so whatever lies there, out of Python's path. */
const MODULE = ["-P", "-m", "osmosis_synthesize.lsp.main"];

/** The server in a Python. */
export function inPython(python: string, origin: Candidate["origin"]): Candidate {
  return {
    label: python,
    origin,
    command: python,
    args: MODULE,
    update: `"${python}" -m pip install --upgrade "${PACKAGE}"`,
  };
}

/** The one that a setting names, if there is one: nothing else is tried then. */
export function fromSettings(): Candidate | undefined {
  const program = pathSet("serverPath");
  if (program !== undefined) {
    const update = `pip install --upgrade "${PACKAGE}", in its environment`;
    return { label: program, origin: "setting", command: program, args: [], update };
  }
  const python = pathSet("interpreter");
  return python === undefined ? undefined : inPython(python, "setting");
}

/** Those in the interpreters of the workspace, as far as these exist. */
export async function fromWorkspace(roots: readonly string[]): Promise<Candidate[]> {
  const found: Candidate[] = [];
  for (const python of await interpretersOf(roots)) {
    const exists = await fs.access(python).then(
      () => true,
      () => false,
    );
    if (exists) {
      found.push(inPython(python, "interpreter"));
    }
  }
  return found;
}
