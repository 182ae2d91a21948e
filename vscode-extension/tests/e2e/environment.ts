/** The extension's own environment, made from the wheel that it carries: by uv where that is on the PATH, else by venv and pip. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { Environment } from "../../src/common/environment";
import { installWheels } from "./install";
import { DIST, EXTENSION, PYTHON, REPOSITORY } from "./places";

const python = { path: PYTHON, version: "3.11.0" };

describe("an environment of its own", function () {
  this.timeout(600_000);
  let folder: string;
  let before: NodeJS.ProcessEnv;

  beforeEach(() => {
    folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "osmosis-environment-")));
    before = { ...process.env };
    const wheel = fs.readdirSync(DIST).find((name) => name.endsWith(".whl")) ?? assert.fail("Run: npm run package");
    const wheels = installWheels(PYTHON, REPOSITORY, EXTENSION, path.join(DIST, wheel));
    Object.assign(process.env, { PIP_NO_INDEX: "1", PIP_NO_COMPILE: "1", PIP_FIND_LINKS: wheels, UV_NO_INDEX: "1", UV_FIND_LINKS: wheels });
  });
  afterEach(() => {
    process.env = before;
    fs.rmSync(folder, { recursive: true, force: true });
  });

  /** Have these programs, and no others, on the PATH. */
  function onPath(...programs: string[]): void {
    const bin = path.join(folder, "bin");
    fs.mkdirSync(bin);
    for (const program of programs) {
      fs.symlinkSync(program, path.join(bin, path.basename(program)));
    }
    process.env["PATH"] = bin;
  }

  function isByPip(made: string): boolean {
    return fs.existsSync(path.join(path.dirname(made), "pip"));
  }

  async function make(signal = new AbortController().signal, report: (line: string) => void = () => undefined): Promise<string> {
    return await new Environment(DIST, path.join(folder, "storage")).make(python, signal, report);
  }

  it("is made by venv and pip where there is no uv", async () => {
    onPath();
    const made = await make();
    assert.ok(isByPip(made));
    assert.match(execFileSync(made, ["-P", "-m", "osmosis_synthesize.lsp.main", "--version"], { encoding: "utf8" }), /\d\.\d/);
  });

  it("is made by uv where there is one, by two windows at once, and only once", async () => {
    onPath(path.join(path.dirname(PYTHON), "uv"));
    const [made, other] = await Promise.all([make(), make()]);
    assert.equal(made, other);
    assert.ok(!isByPip(made));
    assert.match(execFileSync(made, ["-P", "-m", "osmosis_synthesize.lsp.main", "--version"], { encoding: "utf8" }), /\d\.\d/);
    assert.deepEqual(fs.readdirSync(path.join(folder, "storage")), [path.basename(path.dirname(path.dirname(made)))]);
    assert.equal(await new Environment(DIST, path.join(folder, "storage")).find(), made);
  });

  it("leaves nothing behind where the user stops it", async () => {
    onPath(path.join(path.dirname(PYTHON), "uv"));
    const stop = new AbortController();
    await assert.rejects(make(stop.signal, () => { stop.abort(); }), /aborted/);
    assert.deepEqual(fs.readdirSync(path.join(folder, "storage")), []);
  });
});
