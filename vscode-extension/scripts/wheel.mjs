/** Builds the server's wheel from this repository into dist/. The Python is $OSMOSIS_PYTHON, else the repository's own. */

import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import process from "node:process";

const root = path.resolve(import.meta.dirname, "../..");
const inside = process.platform === "win32" ? "Scripts/python.exe" : "bin/python";
const python = process.env.OSMOSIS_PYTHON ?? path.join(root, ".venv", inside);
const dist = path.resolve(import.meta.dirname, "../dist");

mkdirSync(dist, { recursive: true });
for (const old of readdirSync(dist).filter((name) => name.endsWith(".whl"))) {
  rmSync(path.join(dist, old));
}
execFileSync(python, ["-m", "build", "--wheel", "--no-isolation", "--outdir", dist, root], {
  stdio: ["ignore", "ignore", "inherit"],
});
