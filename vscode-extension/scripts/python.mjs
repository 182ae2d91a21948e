/** The Python with the server in it: $OSMOSIS_PYTHON, else the repository's own environment. */

import path from "node:path";
import process from "node:process";

export const root = path.resolve(import.meta.dirname, "../..");
const inside = process.platform === "win32" ? "Scripts/python.exe" : "bin/python";
export const python = process.env.OSMOSIS_PYTHON ?? path.join(root, ".venv", inside);
