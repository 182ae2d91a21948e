/** The HTTP provider on loopback that the server's own tests use, as a process. */

import { spawn } from "node:child_process";
import { Group } from "./editor";

export async function startProvider(python: string, script: string): Promise<{ url: string; group: Group }> {
  const child = spawn(python, [script, "--port", "0"], { detached: true, stdio: ["ignore", "pipe", "inherit"] });
  const url = await new Promise<string>((resolve, reject) => {
    child.once("exit", (code) => {
      reject(new Error(`The provider has ended with ${String(code)}.`));
    });
    child.stdout.setEncoding("utf8").once("data", (line: string) => {
      resolve(line.split(" ", 1)[0] ?? "");
    });
  });
  return { url, group: new Group(child) };
}
