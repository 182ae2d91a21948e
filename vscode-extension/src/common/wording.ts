/** What is said about the server's state. */

import type { ProjectStatus, Status } from "./messages";
import type { ServerState } from "./state";

/** An amount as the server gives it, rounded for the eye. */
export function dollars(amount: string): string {
  const value = Number(amount);
  if (value === 0) {
    return "$0";
  }
  return `$${value < 0.01 ? value.toPrecision(1) : value.toFixed(2)}`;
}

/** How long ago something was. */
export function age(seconds: number): string {
  const units: readonly [number, string][] = [
    [86_400, "day"],
    [3600, "hour"],
    [60, "minute"],
  ];
  for (const [length, name] of units) {
    const number = Math.floor(seconds / length);
    if (number >= 1) {
      return `${String(number)} ${name}${number === 1 ? "" : "s"} old`;
    }
  }
  return "just written";
}

/** The text of the status bar's item. */
export function barText(state: ServerState, status: Status | undefined): string {
  switch (state.kind) {
    case "idle":
      return "osmosis";
    case "starting":
      return "$(loading~spin) osmosis";
    case "waiting":
      return "$(warning) osmosis";
    case "failed":
      return "$(error) osmosis";
    case "running":
      return status === undefined ? "osmosis" : runningText(status);
  }
}

function runningText(status: Status): string {
  const icon = status.running > 0 ? "$(sync~spin) " : status.paused ? "$(debug-pause) " : "";
  const budget = dayBudget(status);
  const today = dollars(status.spentToday) + (budget === undefined ? "" : ` of ${dollars(budget)}`);
  const session = Number(status.spentSession) === 0 ? "" : `${dollars(status.spentSession)} · `;
  return `${icon}osmosis ${session}${today} today`;
}

/** The day's budget, where all projects have the same. */
function dayBudget(status: Status): string | undefined {
  const budgets = new Set(status.projects.map((project) => project.budgetDay));
  const [budget] = budgets;
  return budgets.size === 1 && budget !== null ? budget : undefined;
}

/** What the item says when it is hovered over: Markdown, one paragraph a line. */
export function barTooltip(state: ServerState, status: Status | undefined): string[] {
  switch (state.kind) {
    case "idle":
      return ["There is no dbt project in this window."];
    case "starting":
      return [`The language server is starting: ${state.what}`];
    case "waiting":
      return [`The language server has ended by itself. It is started again within ${String(state.seconds)} s.`];
    case "failed":
      return [state.problem];
    case "running": {
      const server = `Server ${state.info.version}, from ${state.info.place}`;
      return status === undefined ? [server] : [...spending(status), ...status.projects.map(projectLine), server];
    }
  }
}

function spending(status: Status): string[] {
  const { calls, cachedCalls } = status;
  const lines = [
    `Spent: **${dollars(status.spentSession)}** in this session, **${dollars(status.spentToday)}** today`,
    `Calls in this session: ${String(calls)}; answered from the cache: ${String(cachedCalls)}`,
    `Gaps in the open files: ${String(status.gaps)}`,
  ];
  if (status.running > 0) {
    lines.unshift(`Runs under way: ${String(status.running)}`);
  }
  if (status.paused) {
    lines.unshift("Generation is paused: nothing calls a provider.");
  }
  return lines;
}

function projectLine(project: ProjectStatus): string {
  const limits = [
    ...(project.budgetRun === null ? [] : [`at most ${dollars(project.budgetRun)} a run`]),
    ...(project.budgetDay === null ? [] : [`${dollars(project.budgetDay)} a day`]),
  ];
  const budget = limits.length === 0 ? "no budget is set" : limits.join(", ");
  return `\`${project.root}\`: ${project.problem ?? `${providerText(project)}; ${budget}`}`;
}

/** Who is asked. */
export function providerText(project: ProjectStatus): string {
  return [project.provider, project.model].filter((text) => text !== "").join(" ") || "no provider";
}

/** The manifest of a project, and whether that is a reason to worry. */
export function manifestText(project: ProjectStatus, elapsed: number): { text: string; detail: string; worrying: boolean } {
  const { manifestAge, staleNodes, state } = project;
  if (state === "unread") {
    return { text: "Manifest not read yet", detail: project.root, worrying: false };
  }
  if (manifestAge === null || state !== "ready") {
    return { text: "No manifest", detail: project.problem ?? "Run dbt parse.", worrying: true };
  }
  const text = `Manifest ${age(manifestAge + elapsed)}`;
  const older = `older than ${String(staleNodes)} of the nodes in open files`;
  return { text, detail: staleNodes > 0 ? older : `${String(project.nodes)} nodes`, worrying: staleNodes > 0 };
}
