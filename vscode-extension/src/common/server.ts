/** The one server of a window: found, started, restarted when that is needed, and never twice at once. */

import * as vscode from "vscode";
import { Backoff } from "./backoff";
import { type Candidate, fromSettings, fromWorkspace, inPython } from "./candidates";
import { Connection, Refused, type ServerInfo, type Surroundings } from "./connection";

export type ServerState =
  /** There is no dbt project that it could be for. */
  | { readonly kind: "idle" }
  | { readonly kind: "starting"; readonly what: string }
  | { readonly kind: "running"; readonly info: ServerInfo }
  /** It died, and will be started again. */
  | { readonly kind: "waiting"; readonly seconds: number }
  /** There is none, and nothing will be tried unless the user says so. */
  | { readonly kind: "failed"; readonly problem: string; readonly canInstall: boolean };

/** What the server's life depends on, asked anew at each start. */
export interface Needs {
  /** The dbt projects of the window. */
  roots(): readonly string[];
  /** Keys, as variables of the environment. */
  keys(): Promise<Readonly<Record<string, string>>>;
  /** The Python of the extension's own environment, which is made if the user agrees; undefined if not. */
  ownPython(mayAsk: boolean): Promise<string | undefined>;
}

export class Server implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<ServerState>();
  readonly onDidChange = this.#changed.event;
  readonly #backoff = new Backoff();
  #state: ServerState = { kind: "idle" };
  #connection: Connection | undefined;
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
    while (this.#wanted && !this.#disposed) {
      this.#wanted = false;
      const old = this.#connection;
      this.#connection = undefined;
      await old?.close();
      const roots = this.needs.roots();
      if (roots.length === 0) {
        this.#become({ kind: "idle" });
        continue;
      }
      try {
        await this.#start(roots);
      } catch (error) {
        this.#fail(error instanceof Error ? error.message : String(error), false);
      }
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
          this.#fail(error.message, false);
          return;
        }
        if (error.exists) {
          void vscode.window.showWarningMessage(error.message);
        }
      }
    }
    this.#become({ kind: "starting", what: "the extension's own environment" });
    const python = await this.needs.ownPython(true);
    if (python === undefined) {
      this.#become({ kind: "failed", problem: "The language server is not installed.", canInstall: true });
      return;
    }
    await this.#open(inPython(python, "own"), roots, keys);
  }

  async #open(candidate: Candidate, roots: readonly string[], keys: Readonly<Record<string, string>>): Promise<void> {
    this.#become({ kind: "starting", what: candidate.label });
    const started = Date.now();
    const connection: Connection = await Connection.open(candidate, roots, keys, this.surroundings, () => {
      if (this.#connection === connection) {
        this.#died(Date.now() - started);
      }
    });
    this.#connection = connection;
    this.#become({ kind: "running", info: connection.info });
    this.surroundings.log.info(`The server ${connection.info.version} runs from ${candidate.label}.`);
  }

  #died(ran: number): void {
    this.#connection = undefined;
    const wait = this.#backoff.next(ran);
    if (wait === undefined) {
      this.#fail("The language server has ended by itself again and again.", false);
      return;
    }
    this.#become({ kind: "waiting", seconds: wait / 1000 });
    this.surroundings.log.warn(`The server has ended by itself; it is started again in ${String(wait / 1000)} s.`);
    void vscode.window.showWarningMessage("The osmosis language server has ended by itself and is started again.");
    this.#timer = setTimeout(() => void this.restart("it had ended by itself"), wait);
  }

  #fail(problem: string, canInstall: boolean): void {
    this.#become({ kind: "failed", problem, canInstall });
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
    if (!this.#disposed) {
      this.#changed.fire(state);
    }
  }
}
