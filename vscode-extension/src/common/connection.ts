/** One connection to a server: started, asked who it is, and used only if it speaks our messages. */

import * as vscode from "vscode";
import {
  CloseAction,
  ErrorAction,
  ExecuteCommandRequest,
  LanguageClient,
  type LanguageClientOptions,
  type Middleware,
  type ServerCapabilities,
} from "vscode-languageclient/node";
import type { Candidate } from "./candidates";
import { valueSet } from "./configuration";
import { judge } from "./handshake";
import type { Commands, Status } from "./messages";
import { serverSelector } from "./projects";
import { initializationOptions, SECTION, serverSettings } from "./settings";
import type { ServerInfo } from "./state";

const LONGEST_START = 120_000;

/** A part of the extension that has something to tell the server, or is asked by it. */
export interface Part {
  /** What it adds to the options of `initialize`. */
  options?(): Readonly<Record<string, unknown>>;
  /** Is called before the server starts, to listen to what it says. What is returned ends with the connection. */
  attach(client: LanguageClient): vscode.Disposable;
}

/** All that is needed to start a server, however often. */
export interface Surroundings {
  readonly log: vscode.LogOutputChannel;
  /** A folder of the extension's own, in which the server is started. */
  readonly storage: string;
  /** The names of the settings that the extension declares. */
  readonly settings: readonly string[];
  readonly parts: readonly Part[];
  /** How commands that the user gives by name are carried out. */
  readonly executeCommand: NonNullable<Middleware["executeCommand"]>;
}

/** Who listens to a connection. */
export interface Listener {
  onStatus(status: Status): void;
  /** The server has gone away by itself. */
  onClosed(): void;
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
    private readonly client: LanguageClient,
    private readonly parts: vscode.Disposable,
    readonly info: ServerInfo,
  ) {}

  /**
   * Start the server of a candidate.
   *
   * @param roots - the dbt projects it is for
   * @param environment - what its environment has besides our own: keys
   * @throws Refused - it cannot be started, or speaks other messages
   */
  static async open(
    candidate: Candidate,
    roots: readonly string[],
    environment: Readonly<Record<string, string>>,
    surroundings: Surroundings,
    listener: Listener,
  ): Promise<Connection> {
    let isOpen = false;
    const closed = () => {
      if (isOpen) {
        listener.onClosed();
      }
    };
    const run = {
      command: candidate.command,
      args: [...candidate.args],
      options: { cwd: surroundings.storage, env: environment },
    };
    const client = new LanguageClient(SECTION, "osmosis-synthesize", run, optionsFor(roots, surroundings, closed));
    client.onNotification("osmosis/status", (status: Status) => {
      listener.onStatus(status);
    });
    const parts = vscode.Disposable.from(...surroundings.parts.map((part) => part.attach(client)));
    try {
      const info = await greet(client, candidate);
      listener.onStatus(await client.sendRequest<Status>("osmosis/status", {}));
      isOpen = true;
      return new Connection(client, parts, info);
    } catch (error) {
      parts.dispose();
      await end(client);
      throw error;
    }
  }

  /**
   * Have the server carry out a command.
   *
   * @throws ResponseError - its message is for the user
   */
  async execute<C extends keyof Commands>(
    command: C,
    argument: Commands[C]["argument"],
    token?: vscode.CancellationToken,
  ): Promise<Commands[C]["result"]> {
    const params = { command, arguments: argument === null ? [] : [argument] };
    return (await this.client.sendRequest(ExecuteCommandRequest.type, params, token)) as Commands[C]["result"];
  }

  /** End it in an orderly way. */
  async close(): Promise<void> {
    this.parts.dispose();
    await end(this.client);
  }
}

function optionsFor(roots: readonly string[], surroundings: Surroundings, closed: () => void): LanguageClientOptions {
  return {
    documentSelector: serverSelector(roots),
    diagnosticCollectionName: SECTION,
    outputChannel: surroundings.log,
    initializationOptions: Object.assign(
      initializationOptions(valueSet),
      ...surroundings.parts.map((part) => part.options?.() ?? {}),
    ) as unknown,
    initializationFailedHandler: () => false,
    markdown: { isTrusted: false, supportHtml: false },
    errorHandler: {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: () => {
        closed();
        return { action: CloseAction.DoNotRestart, handled: true };
      },
    },
    middleware: {
      executeCommand: surroundings.executeCommand,
      workspace: {
        configuration: ({ items }) =>
          items.map(({ section }) => (section === SECTION ? serverSettings(surroundings.settings, valueSet) : null)),
      },
    },
  };
}

async function greet(client: LanguageClient, candidate: Candidate): Promise<ServerInfo> {
  try {
    await inTime(client.start());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Refused(`${candidate.label} has no server that starts: ${reason}`, false);
  }
  const { serverInfo, capabilities } = client.initializeResult ?? {};
  const version = serverInfo?.version ?? "of an unknown version";
  const verdict = judge(candidate.label, { version, protocolVersion: protocolOf(capabilities) }, candidate.update);
  if (!verdict.usable) {
    throw new Refused(verdict.problem, true);
  }
  return { version, place: candidate.label, pid: client.serverProcess?.pid };
}

/** A program that never answers is no server; one that is started for the first time may take its time. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`it has not answered in ${String(LONGEST_START / 1000)} s`));
    }, LONGEST_START);
  });
  return await Promise.race([answer, late]).finally(() => {
    clearTimeout(timer);
  });
}

function protocolOf(capabilities: ServerCapabilities | undefined): unknown {
  const experimental = capabilities?.experimental as { osmosis?: { protocolVersion?: unknown } } | undefined;
  return experimental?.osmosis?.protocolVersion;
}

async function end(client: LanguageClient): Promise<void> {
  try {
    await client.dispose();
  } catch {
    // A server that is gone, or that never came, cannot be told goodbye.
  }
}
