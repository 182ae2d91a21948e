/** The server's commands when a user gives them by name: on what they act, and what is said afterwards. */

import * as vscode from "vscode";
import type { Middleware } from "vscode-languageclient/node";
import type { Connection } from "./connection";
import { targetOf } from "./cursor";
import type { Commands, Outcome, Parsed, Status } from "./messages";
import { chooseModel } from "./modelChoice";

type Name = keyof Commands;

/** Sends commands on as they are if they have an argument, as those of code actions and lenses do, and looks after the others. */
export function commandsByName(
  server: () => { readonly status: Status | undefined; readonly connection: Connection | undefined },
): NonNullable<Middleware["executeCommand"]> {
  return async (command, given: unknown[], next): Promise<unknown> => {
    if (given.length > 0) {
      return await next(command, given);
    }
    const { status, connection } = server();
    if (command === "osmosis.chooseProvider" && connection !== undefined) {
      await chooseModel(connection);
      return undefined;
    }
    const found = await argumentOf(command as Name, status?.paused ?? false);
    if (found === undefined) {
      return undefined;
    }
    const result = (await next(command, found)) as unknown;
    const message = result === undefined ? undefined : summary(command as Name, result);
    if (message !== undefined) {
      void vscode.window.showInformationMessage(message);
    }
    return result;
  };
}

/** What a command is to be called with; undefined where there is nothing to act on, which the user has been told. */
async function argumentOf(command: Name, isPaused: boolean): Promise<unknown[] | undefined> {
  switch (command) {
    case "osmosis.generateColumn":
    case "osmosis.generateModel":
    case "osmosis.generateFile":
    case "osmosis.generateProject":
    case "osmosis.rewrite":
    case "osmosis.accept": {
      const target = await targetOf(command);
      return target === undefined ? undefined : [target];
    }
    case "osmosis.pause":
      return [{ paused: !isPaused }];
    case "osmosis.dbtParse":
      return [{ uri: vscode.window.activeTextEditor?.document.uri.toString() ?? null }];
    default:
      return [];
  }
}

/** How it went, in words; undefined where that can be seen anyway. */
export function summary(command: Name, result: unknown): string | undefined {
  switch (command) {
    case "osmosis.generateColumn":
    case "osmosis.generateModel":
    case "osmosis.generateFile":
    case "osmosis.generateProject":
    case "osmosis.rewrite":
      return outcomeText(result as Outcome);
    case "osmosis.accept":
      return `${count(result as number, "description", "descriptions")} accepted.`;
    case "osmosis.pause":
      return result === true ? "Generation is paused: nothing calls a provider." : "Generation goes on.";
    case "osmosis.cacheClear":
      return `${count(result as number, "reply", "replies")} forgotten.`;
    case "osmosis.cancelAll":
      return `${count(result as number, "run", "runs")} stopped.`;
    case "osmosis.dbtParse":
      return parsedText(result as Parsed);
    default:
      return undefined;
  }
}

/** What was filled can be seen, and where something is left, the server itself says why. */
function outcomeText({ filled, left, cancelled }: Outcome): string | undefined {
  return filled === 0 && left.length === 0 && !cancelled ? "Everything is described already." : undefined;
}

function parsedText({ problem, seconds }: Parsed): string {
  return problem ?? `dbt parse has written the manifest anew (${seconds.toFixed(1)} s).`;
}

function count(number: number, one: string, many: string): string {
  return `${String(number)} ${number === 1 ? one : many}`;
}
