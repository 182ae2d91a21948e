/** One connection to a server: started, asked who it is, and used only if it speaks our messages. */

import * as vscode from "vscode";
import { CloseAction, ErrorAction, LanguageClient, type LanguageClientOptions, type ServerCapabilities } from "vscode-languageclient/node";
import type { Candidate } from "./candidates";
import { valueSet } from "./configuration";
import { targetOf } from "./cursor";
import { judge } from "./handshake";
import { STATUS, type Status } from "./messages";
import { selectorOf } from "./projects";
import { initializationOptions, SECTION, serverSettings } from "./settings";

export interface ServerInfo {
  readonly version: string;
  /** The program or interpreter it runs from. */
  readonly place: string;
  /** The commands it answers. */
  readonly commands: readonly string[];
}

/** All that is needed to start a server, however often. */
export interface Surroundings {
  readonly log: vscode.LogOutputChannel;
  /** A folder of the extension's own, in which the server is started. */
  readonly storage: string;
  /** The names of the settings that the extension declares. */
  readonly settings: readonly string[];
  readonly onStatus: (status: Status) => void;
}

/** There is no server of use at a place; the message says why. */
export class Refused extends Error {
  constructor(
    message: string,
    /** Whether there is a server at all. */
    readonly exists: boolean,
  ) {
    super(message);
  }
}

export class Connection {
  private constructor(
    readonly client: LanguageClient,
    readonly info: ServerInfo,
  ) {}

  /**
   * Start the server of a candidate.
   *
   * @param roots - the dbt projects it is for
   * @param environment - what its environment has besides our own: keys
   * @param onClosed - is called if it goes away by itself
   * @throws Refused - it cannot be started, or speaks other messages
   */
  static async open(
    candidate: Candidate,
    roots: readonly string[],
    environment: Readonly<Record<string, string>>,
    surroundings: Surroundings,
    onClosed: () => void,
  ): Promise<Connection> {
    let isOpen = false;
    const options: LanguageClientOptions = {
      documentSelector: selectorOf(roots),
      diagnosticCollectionName: SECTION,
      outputChannel: surroundings.log,
      initializationOptions: initializationOptions(valueSet),
      initializationFailedHandler: () => false,
      markdown: { isTrusted: false, supportHtml: false },
      errorHandler: {
        error: () => ({ action: ErrorAction.Continue, handled: true }),
        closed: () => {
          if (isOpen) {
            onClosed();
          }
          return { action: CloseAction.DoNotRestart, handled: true };
        },
      },
      middleware: {
        executeCommand: async (command, args: unknown[], next) => {
          const target = args.length > 0 ? args : await targetOf(command);
          return target === undefined ? undefined : ((await next(command, target)) as unknown);
        },
        workspace: {
          configuration: (params) =>
            params.items.map((item) =>
              item.section === SECTION ? serverSettings(surroundings.settings, valueSet) : null,
            ),
        },
      },
    };
    const run = {
      command: candidate.command,
      args: [...candidate.args],
      options: { cwd: surroundings.storage, env: environment },
    };
    const client = new LanguageClient(SECTION, "osmosis-synthesize", run, options);
    client.onNotification(STATUS, surroundings.onStatus);
    try {
      await client.start();
    } catch (error) {
      await end(client);
      throw new Refused(`${candidate.label} has no server that starts: ${textOf(error)}`, false);
    }
    const { serverInfo, capabilities } = client.initializeResult ?? {};
    const version = serverInfo?.version ?? "of an unknown version";
    const verdict = judge(candidate.label, { version, protocolVersion: protocolOf(capabilities) }, candidate.update);
    if (!verdict.usable) {
      await end(client);
      throw new Refused(verdict.problem, true);
    }
    isOpen = true;
    surroundings.onStatus(await client.sendRequest<Status>(STATUS, {}));
    const commands = capabilities?.executeCommandProvider?.commands ?? [];
    return new Connection(client, { version, place: candidate.label, commands });
  }

  /** End it in an orderly way. */
  async close(): Promise<void> {
    await end(this.client);
  }
}

async function end(client: LanguageClient): Promise<void> {
  try {
    await client.dispose();
  } catch {
    // A server that is gone, or that never came, cannot be told goodbye.
  }
}

function protocolOf(capabilities: ServerCapabilities | undefined): unknown {
  const experimental = capabilities?.experimental as { osmosis?: { protocolVersion?: unknown } } | undefined;
  return experimental?.osmosis?.protocolVersion;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
