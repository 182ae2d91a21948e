/** The menu of the status bar's item. */

import * as vscode from "vscode";
import type { Status } from "./messages";
import type { ServerState } from "./state";

export interface MenuItem {
  readonly label: string;
  readonly command: string;
  readonly detail?: string;
}

/** What can be done in a state. */
export function menuItems(state: ServerState, status: Status | undefined): MenuItem[] {
  const items: MenuItem[] = [];
  if (state.kind === "running") {
    if ((status?.running ?? 0) > 0) {
      items.push({ label: "$(stop-circle) Stop All Runs", command: "osmosis.cancelAll" });
    }
    items.push(
      status?.paused === true
        ? { label: "$(debug-continue) Resume Generation", command: "osmosis.pause" }
        : {
            label: "$(debug-pause) Pause Generation",
            command: "osmosis.pause",
            detail: "Nothing calls a provider until you resume; what is free is still filled",
          },
      { label: "$(settings) Choose Provider and Model…", command: "osmosis.chooseProvider" },
      { label: "$(graph) Show Coverage and Spend", command: "osmosis.report" },
    );
  }
  if (state.kind === "failed" && state.canInstall) {
    items.push({ label: "$(cloud-download) Install the Language Server…", command: "osmosis.install" });
  }
  items.push({ label: "$(key) Set a Key…", command: "osmosis.setKey" });
  if (state.kind === "running") {
    items.push(
      { label: "$(refresh) Refresh", command: "osmosis.refresh", detail: "Read everything on disk anew" },
      { label: "$(terminal) Run dbt parse", command: "osmosis.dbtParse", detail: "Write the manifest anew" },
    );
  }
  items.push(
    { label: "$(output) Show Log", command: "osmosis.showLog" },
    { label: "$(debug-restart) Restart the Language Server", command: "osmosis.restart" },
  );
  return items;
}

/** Let the user choose, and do it. */
export async function showMenu(state: ServerState, status: Status | undefined): Promise<void> {
  const chosen = await vscode.window.showQuickPick(menuItems(state, status), { title: "osmosis" });
  if (chosen !== undefined) {
    await vscode.commands.executeCommand(chosen.command);
  }
}
