/** What can be said of the server of a window. */

export interface ServerInfo {
  readonly version: string;
  /** The program or interpreter it runs from. */
  readonly place: string;
  /** Of its process. */
  readonly pid: number | undefined;
}

export type ServerState =
  /** There is no dbt project that it could be for. */
  | { readonly kind: "idle" }
  | { readonly kind: "starting"; readonly what: string }
  | { readonly kind: "running"; readonly info: ServerInfo }
  /** It died, and will be started again. */
  | { readonly kind: "waiting"; readonly seconds: number }
  /** There is none, and nothing will be tried unless the user says so. */
  | { readonly kind: "failed"; readonly problem: string; readonly canInstall: boolean };
