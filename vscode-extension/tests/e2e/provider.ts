/** The HTTP provider on loopback, as a process. */

import { spawn } from "node:child_process";
import * as path from "node:path";
import { Group } from "./editor";
import { EXTENSION, PYTHON } from "./places";

/** @param key - the only key that it takes; without one it takes any, and none */
export async function startProvider(key?: string): Promise<{ url: string; group: Group }> {
  const script = path.join(EXTENSION, "tests", "e2e", "provider.py");
  const args = [script, ...(key === undefined ? [] : ["--key", key])];
  const child = spawn(PYTHON, args, { detached: true, stdio: ["ignore", "pipe", "inherit"] });
  const url = await new Promise<string>((resolve, reject) => {
    child.once("exit", (code) => {
      reject(new Error(`The provider has ended with ${String(code)}.`));
    });
    child.stdout.setEncoding("utf8").once("data", (line: string) => {
      resolve(line.trim());
    });
  });
  return { url, group: new Group(child) };
}
