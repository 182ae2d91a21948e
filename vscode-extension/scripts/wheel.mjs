/** Builds the server's wheel from this repository into dist/. */

import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { python, root } from "./python.mjs";

const dist = path.resolve(import.meta.dirname, "../dist");

mkdirSync(dist, { recursive: true });
for (const old of readdirSync(dist).filter((name) => name.endsWith(".whl"))) {
  rmSync(path.join(dist, old));
}
execFileSync(python, ["-m", "build", "--wheel", "--no-isolation", "--outdir", dist, root], {
  stdio: ["ignore", "ignore", "inherit"],
});
