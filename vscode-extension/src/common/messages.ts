/** What the server adds to the protocol: `server/PROTOCOL.md`. Written by `npm run messages`; a test holds it to the server. */

/** The version of these messages. A server that speaks another one is not used. */
export const PROTOCOL_VERSION = 1;

/** The server's commands; each takes at most one argument. */
export interface Commands {
  readonly "osmosis.generateColumn": { readonly argument: Target; readonly result: Outcome };
  readonly "osmosis.generateModel": { readonly argument: Target; readonly result: Outcome };
  readonly "osmosis.generateFile": { readonly argument: Target; readonly result: Outcome };
  readonly "osmosis.generateProject": { readonly argument: Target; readonly result: Outcome };
  readonly "osmosis.rewrite": { readonly argument: Target; readonly result: Outcome };
  readonly "osmosis.accept": { readonly argument: Target; readonly result: number };
  readonly "osmosis.preview": { readonly argument: Target; readonly result: Preview };
  readonly "osmosis.propose": { readonly argument: ProposeParams; readonly result: Proposals };
  readonly "osmosis.applyTexts": { readonly argument: ApplyParams; readonly result: Applied };
  readonly "osmosis.coverage": { readonly argument: null; readonly result: Coverage };
  readonly "osmosis.spend": { readonly argument: SpendParams; readonly result: readonly SpendLine[] };
  readonly "osmosis.cacheClear": { readonly argument: null; readonly result: number };
  readonly "osmosis.refresh": { readonly argument: null; readonly result: null };
  readonly "osmosis.cancelAll": { readonly argument: null; readonly result: number };
  readonly "osmosis.pause": { readonly argument: PauseParams; readonly result: boolean };
  readonly "osmosis.models": { readonly argument: null; readonly result: readonly Model[] };
  readonly "osmosis.chooseProvider": { readonly argument: Choice; readonly result: Choice };
  readonly "osmosis.dbtParse": { readonly argument: ParseParams; readonly result: Parsed };
}

/** Its own requests: `osmosis/languageModel` goes to the client, the others to the server. */
export interface Requests {
  readonly "osmosis/status": { readonly argument: null; readonly result: Status };
  readonly "osmosis/languageModel": { readonly argument: LanguageModelParams; readonly result: LanguageModelResult };
}

/** What `osmosis.applyTexts` did. */
export interface Applied {
  readonly filled: number;
  readonly left: readonly Left[];
}

/** The argument of `osmosis.applyTexts`. */
export interface ApplyParams {
  readonly texts: readonly SlotText[];
}

/** One message of a prompt. */
export interface ChatMessage {
  readonly role: "assistant" | "system" | "user";
  readonly content: string;
}

/** A gap that is filled for little or nothing. */
export interface CheapGap {
  readonly uri: string;
  readonly line: number;
  readonly label: string;
  readonly node: string;
  readonly column: string | null;
  readonly how: "cached" | "call" | "inherited" | "stated";
  readonly cost: string;
}

/** A provider and its model: the argument of `osmosis.chooseProvider`, and what is in force after it. */
export interface Choice {
  readonly provider: string | null;
  readonly model: string | null;
}

/** What is described in all projects of the workspace, as their files and the open texts are. */
export interface Coverage {
  readonly folders: readonly FolderCoverage[];
  readonly cheapest: readonly CheapGap[];
  readonly described: number;
  readonly total: number;
}

/** How much of a folder's schema files is described. */
export interface FolderCoverage {
  readonly root: string;
  readonly folder: string;
  readonly described: number;
  readonly total: number;
}

/** What the editor's own language model is asked. */
export interface LanguageModelParams {
  readonly messages: readonly ChatMessage[];
  readonly schema: Readonly<Record<string, unknown>> | null;
  readonly maxTokens: number | null;
  readonly temperature: number | null;
  readonly model: string | null;
}

/** What the editor's own language model answered. */
export interface LanguageModelResult {
  readonly text: string;
  readonly model: string;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
}

/** A gap that stays, and why. */
export interface Left {
  readonly label: string;
  readonly reason: string;
  readonly node: string;
  readonly column: string | null;
}

/** A model that could be chosen. */
export interface Model {
  readonly provider: string;
  readonly model: string;
  readonly inputPrice: string | null;
  readonly outputPrice: string | null;
  readonly contextTokens: number | null;
  readonly ready: boolean;
  readonly problem: string | null;
}

/** One place for a description. */
export interface Named {
  readonly node: string;
  readonly column?: string | null;
}

/** What a `generate` command did. */
export interface Outcome {
  readonly filled: number;
  readonly inherited: number;
  readonly cached: number;
  readonly generated: number;
  readonly left: readonly Left[];
  readonly calls: number;
  readonly cost: string | null;
  readonly cancelled: boolean;
}

/** The argument of `osmosis.dbtParse`. */
export interface ParseParams {
  readonly uri?: string | null;
}

/** How `dbt parse` ended. */
export interface Parsed {
  readonly exitCode: number | null;
  readonly seconds: number;
  readonly tail: readonly string[];
  readonly problem: string | null;
}

/** The argument of `osmosis.pause`. */
export interface PauseParams {
  readonly paused: boolean;
}

/** One gap of a preview. */
export interface PlannedGap {
  readonly label: string;
  readonly node: string;
  readonly column: string | null;
  readonly how: "cached" | "call" | "inherited" | "left" | "stated" | "waiting";
  readonly text: string | null;
  readonly source: string;
}

/** What a `generate` command would do. */
export interface Preview {
  readonly gaps: readonly PlannedGap[];
  readonly calls: number;
  readonly cost: string | null;
}

/** One dbt project of the workspace. */
export interface ProjectStatus {
  readonly root: string;
  readonly state: "broken" | "ready" | "unread" | "without manifest";
  readonly problem: string | null;
  readonly manifest: string | null;
  readonly manifestAge: number | null;
  readonly staleNodes: number;
  readonly nodes: number;
  readonly provider: string;
  readonly model: string;
  readonly budgetRun: string | null;
  readonly budgetDay: string | null;
}

/** What `osmosis.propose` found. Nothing is changed; what was paid for is in the cache. */
export interface Proposals {
  readonly items: readonly Proposed[];
  readonly left: readonly Left[];
  readonly calls: number;
  readonly cost: string | null;
  readonly cancelled: boolean;
}

/** The argument of `osmosis.propose`: a {@link Target}, and how to go about it. */
export interface ProposeParams {
  readonly uri: string;
  readonly node?: string | null;
  readonly column?: string | null;
  readonly scope?: "column" | "file" | "model" | "project" | null;
  readonly again?: boolean;
}

/** A text for one gap, not applied yet. */
export interface Proposed {
  readonly uri: string;
  readonly node: string;
  readonly column: string | null;
  readonly label: string;
  readonly line: number;
  readonly old: string | null;
  readonly new: string;
  readonly origin: "cached" | "generated" | "inherited" | "stated";
  readonly source: string;
  readonly cost: string | null;
}

/** A text, and the slot it is for. */
export interface SlotText {
  readonly uri: string;
  readonly node: string;
  readonly column: string | null;
  readonly text: string;
}

/** The sum of some calls. */
export interface SpendLine {
  readonly label: string;
  readonly calls: number;
  readonly cachedCalls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cost: string;
  readonly unpricedCalls: number;
}

/** The argument of `osmosis.spend`. */
export interface SpendParams {
  readonly since?: number | null;
  readonly by?: "day" | "model" | "node" | "project";
}

/** The server at this moment. */
export interface Status {
  readonly protocolVersion: number;
  readonly serverVersion: string;
  readonly projects: readonly ProjectStatus[];
  readonly gaps: number;
  readonly running: number;
  readonly spentSession: string;
  readonly spentToday: string;
  readonly calls: number;
  readonly cachedCalls: number;
  readonly paused: boolean;
  readonly chosen: Choice | null;
}

/** What is to be described: the argument of the `generate` commands and of `osmosis.preview`. */
export interface Target {
  readonly uri: string;
  readonly node?: string | null;
  readonly column?: string | null;
  readonly only?: readonly Named[];
}
