/** Runs programs whose answer is all that matters. */

import { spawn } from "node:child_process";

/** A program ended with an error, or could not be started; the message holds the end of what it said. */
export class ProcessFailed extends Error {}

const SHOWN = 2000;

/**
 * Run a program to its end, without a shell and away from the workspace's files.
 *
 * @param options.cwd - a folder that no repository can write to: Python and others load code from where they are started
 * @param options.onOutput - is told of each piece of output
 * @returns what it wrote to standard output
 */
export async function run(
  command: string,
  args: readonly string[],
  options: { cwd: string; timeout: number; signal?: AbortSignal; onOutput?: (text: string) => void },
): Promise<string> {
  return await new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: options.timeout,
      windowsHide: true,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    let output = "";
    let everything = "";
    const hear = (text: string) => {
      everything = (everything + text).slice(-SHOWN);
      options.onOutput?.(text);
    };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      hear(text);
    });
    child.stderr.setEncoding("utf8").on("data", hear);
    child.on("error", (error) => {
      reject(new ProcessFailed(`${command} could not be started: ${error.message}`));
    });
    child.on("close", (code, signal) => {
      if (code === 0) {
        resolve(output);
      } else {
        const how = signal === null ? `exit code ${String(code)}` : `signal ${signal}`;
        reject(new ProcessFailed(`${[command, ...args].join(" ")} ended with ${how}.\n${everything.trim()}`));
      }
    });
  });
}
