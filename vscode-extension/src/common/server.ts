/** The one server of a window: found, started, restarted when that is needed, and never twice at once. */

import * as vscode from "vscode";
import { Backoff } from "./backoff";
import { type Candidate, fromSettings, fromWorkspace, inPython } from "./candidates";
import { Connection, Refused, type Surroundings } from "./connection";
import type { Status } from "./messages";
import type { ServerState } from "./state";

/** What the server's life depends on, asked anew at each start. */
export interface Needs {
  /** The dbt projects of the window. */
  roots(): readonly string[];
  /** Keys, as variables of the environment. */
  keys(): Promise<Readonly<Record<string, string>>>;
  /** The Python of the extension's own environment; undefined if there is none. */
  ownPython(): Promise<string | undefined>;
}

export class Server implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<void>();
  /** Its state or its status is another one. */
  readonly onDidChange = this.#changed.event;
  readonly #backoff = new Backoff();
  #state: ServerState = { kind: "idle" };
  #status: Status | undefined;
  #connection: Connection | undefined;
  /** What the user has been warned of. */
  readonly #told = new Set<string>();
  #wanted = false;
  #working: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #disposed = false;

  constructor(
    private readonly needs: Needs,
    private readonly surroundings: Surroundings,
  ) {}

  get state(): ServerState {
    return this.#state;
  }

  /** What it has last said of itself; undefined while it does not run. */
  get status(): Status | undefined {
    return this.#state.kind === "running" ? this.#status : undefined;
  }

  /** The connection, while the server runs. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Start it, or start it anew. What is asked for while that is going on is done once, afterwards. */
  async restart(reason: string): Promise<void> {
    this.surroundings.log.info(`The server is started: ${reason}.`);
    clearTimeout(this.#timer);
    this.#wanted = true;
    this.#working ??= this.#work().finally(() => (this.#working = undefined));
    await this.#working;
  }

  /** As {@link restart}, on a user's word: what went wrong before is forgotten. */
  async restartByHand(): Promise<void> {
    this.#backoff.reset();
    await this.restart("asked for");
  }

  async stop(): Promise<void> {
    this.#disposed = true;
    clearTimeout(this.#timer);
    await this.#working;
    await this.#connection?.close();
    this.#connection = undefined;
  }

  dispose(): void {
    void this.stop();
    this.#changed.dispose();
  }

  async #work(): Promise<void> {
    try {
      while (this.#wanted && !this.#disposed) {
        await new Promise(setImmediate); // what happens at the same moment is one reason
        this.#wanted = false;
        await this.#renew(this.needs.roots());
      }
    } finally {
      this.#working = undefined; // at once: what is asked for from here on begins anew
    }
  }

  async #renew(roots: readonly string[]): Promise<void> {
    const old = this.#connection;
    if (old !== undefined) {
      this.#connection = undefined;
      this.#status = undefined;
      this.#become({ kind: "starting", what: "the one before it ends" });
      await old.close();
    }
    if (roots.length === 0) {
      this.#become({ kind: "idle" });
      return;
    }
    try {
      await this.#start(roots);
    } catch (error) {
      this.fail(error instanceof Error ? error.message : String(error));
    }
  }

  async #start(roots: readonly string[]): Promise<void> {
    const keys = await this.needs.keys();
    const chosen = fromSettings();
    for (const candidate of chosen === undefined ? await fromWorkspace(roots) : [chosen]) {
      try {
        await this.#open(candidate, roots, keys);
        return;
      } catch (error) {
        if (!(error instanceof Refused)) {
          throw error;
        }
        this.surroundings.log.warn(error.message);
        if (chosen !== undefined) {
          this.fail(error.message);
          return;
        }
        if (error.exists && !this.#told.has(error.message)) {
          this.#told.add(error.message);
          void vscode.window.showWarningMessage(error.message);
        }
      }
    }
    this.#become({ kind: "starting", what: "the extension's own environment" });
    const python = await this.needs.ownPython();
    if (python === undefined) {
      this.#become({ kind: "failed", problem: "The language server is not installed.", canInstall: true });
      return;
    }
    await this.#open(inPython(python, "own"), roots, keys);
  }

  async #open(candidate: Candidate, roots: readonly string[], keys: Readonly<Record<string, string>>): Promise<void> {
    this.#become({ kind: "starting", what: candidate.label });
    const started = Date.now();
    const connection: Connection = await Connection.open(candidate, roots, keys, this.surroundings, {
      onStatus: (status) => {
        this.#status = status;
        this.#changed.fire();
      },
      onClosed: () => {
        if (this.#connection === connection) {
          this.#died(Date.now() - started);
        }
      },
    });
    this.#connection = connection;
    this.#become({ kind: "running", info: connection.info });
    this.surroundings.log.info(`The server ${connection.info.version} runs from ${candidate.label}.`);
  }

  #died(ran: number): void {
    this.#connection = undefined;
    const wait = this.#backoff.next(ran);
    if (wait === undefined) {
      this.fail("The language server has ended by itself again and again.");
      return;
    }
    this.#become({ kind: "waiting", seconds: wait / 1000 });
    this.surroundings.log.warn(`The server has ended by itself; it is started again in ${String(wait / 1000)} s.`);
    void vscode.window.showWarningMessage("The osmosis language server has ended by itself and is started again.");
    this.#timer = setTimeout(() => void this.restart("it had ended by itself"), wait);
  }

  /** Say that there is no server, and why. */
  fail(problem: string): void {
    this.#become({ kind: "failed", problem, canInstall: false });
    this.surroundings.log.error(problem);
    void vscode.window.showErrorMessage(problem, "Restart", "Show Log").then((answer) => {
      if (answer === "Restart") {
        void this.restartByHand();
      } else if (answer === "Show Log") {
        this.surroundings.log.show();
      }
    });
  }

  #become(state: ServerState): void {
    this.#state = state;
    this.#changed.fire();
  }
}
