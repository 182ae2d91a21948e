/** Bundles the extension into dist/, and with --tests the tests into out/. */

import { build } from "esbuild";
import { cpSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import process from "node:process";

const common = {
  bundle: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  logLevel: "warning",
  // `vscode` is given by the editor. The others are for tests only, and cannot be bundled.
  external: ["vscode", "playwright-core", "mocha", "axe-core"],
};

rmSync("dist/extension.js", { force: true });
await build({ ...common, entryPoints: ["src/extension.ts"], outfile: "dist/extension.js", minify: true });

if (process.argv.includes("--tests")) {
  rmSync("out", { recursive: true, force: true });
  await build({
    ...common,
    entryPoints: readdirSync("tests", { recursive: true })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => path.join("tests", file)),
    outdir: "out",
    outbase: "tests",
    sourcemap: "inline",
  });
  for (const extension of ["host", "neighbour"]) {
    cpSync(`tests/in-host/${extension}/package.json`, `out/in-host/${extension}/package.json`);
  }
}
