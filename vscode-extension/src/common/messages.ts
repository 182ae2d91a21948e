/** What the server adds to the language server protocol: `server/PROTOCOL.md`. A test compares the two. */

/** The version of the messages below. A server that speaks another one is not used. */
export const PROTOCOL_VERSION = 1;

export const STATUS = "osmosis/status";

/** What is to be described. Without `node` it is the whole file, without `column` the whole node. */
export interface Target {
  readonly uri: string;
  readonly node?: string | null;
  readonly column?: string | null;
}

/** A gap that stays, and why. */
export interface Left {
  readonly label: string;
  readonly reason: string;
}

/** What a `generate…` command did. */
export interface Outcome {
  readonly filled: number;
  readonly inherited: number;
  readonly cached: number;
  readonly generated: number;
  readonly left: readonly Left[];
  readonly calls: number;
  /** US dollars as a decimal number; null where a price is unknown. */
  readonly cost: string | null;
  readonly cancelled: boolean;
}

export type ProjectState = "unread" | "ready" | "without manifest" | "broken";

/** One dbt project of the workspace. */
export interface ProjectStatus {
  readonly root: string;
  readonly state: ProjectState;
  readonly problem: string | null;
  readonly manifest: string | null;
  /** Seconds since it was written. */
  readonly manifestAge: number | null;
  readonly nodes: number;
  readonly provider: string;
  readonly model: string;
  /** US dollars; null is no limit. */
  readonly budgetRun: string | null;
  readonly budgetDay: string | null;
}

/** The server at this moment. */
export interface Status {
  readonly protocolVersion: number;
  readonly serverVersion: string;
  readonly projects: readonly ProjectStatus[];
  /** In the open schema files. */
  readonly gaps: number;
  /** Runs under way. */
  readonly running: number;
  readonly spentSession: string;
  readonly spentToday: string;
  /** To providers, in this session. */
  readonly calls: number;
  readonly cachedCalls: number;
}
