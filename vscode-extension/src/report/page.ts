/** The page of the report, as text: tables that can be read and heard, small charts beside them, and nothing from elsewhere. */

import type { CheapGap, Coverage, FolderCoverage, SpendLine } from "../common/messages";
import { dollars } from "../common/wording";

export interface Figures {
  readonly coverage: Coverage;
  /** Of the last thirty days, oldest first. */
  readonly days: readonly SpendLine[];
  /** Of all times. */
  readonly models: readonly SpendLine[];
}

/** What the page tells the extension. */
export type Told = { readonly open: number } | { readonly refresh: true };

const HOW: Readonly<Record<CheapGap["how"], string>> = {
  inherited: "inherit",
  cached: "take from the cache",
  stated: "state from the project",
  call: "ask the provider",
};

const STYLE = `
body { background: var(--vscode-editor-background); max-width: 60rem; margin: 0 auto; padding: 1rem 1.5rem 3rem; line-height: 1.45; }
h1 { font-size: 1.6em; font-weight: 600; } h2 { font-size: 1.2em; font-weight: 600; margin-top: 2em; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--vscode-descriptionForeground); padding-bottom: .5em; }
th, td { text-align: left; padding: .25em .75em .25em 0; border-bottom: 1px solid var(--vscode-panel-border, var(--vscode-contrastBorder)); }
th { font-weight: 600; } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { display: block; } svg.bar { width: 9rem; height: .6rem; } svg.days { width: 100%; height: 6rem; margin-bottom: 1rem; }
.track { fill: currentColor; fill-opacity: .15; } .fill { fill: var(--vscode-charts-blue); } .full { fill: var(--vscode-charts-green); }
rect { stroke: var(--vscode-contrastBorder, transparent); }
button.place { all: unset; color: var(--vscode-textLink-foreground); cursor: pointer; text-decoration: underline; }
button.refresh { float: right; border: 1px solid var(--vscode-button-border, transparent); padding: .35em 1em; cursor: pointer;
  color: var(--vscode-button-foreground); background: var(--vscode-button-background); }
button:focus-visible { outline: 1px solid var(--vscode-focusBorder); outline-offset: 2px; }
`;

const SCRIPT = `
const editor = acquireVsCodeApi();
document.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (button?.dataset.open !== undefined) editor.postMessage({ open: Number(button.dataset.open) });
  else if (button?.classList.contains("refresh")) editor.postMessage({ refresh: true });
});
`;

/** @param nonce - what marks our own style and script; a page that has another one runs and loads nothing */
export function page(figures: Figures, nonce: string): string {
  const { coverage, days, models } = figures;
  const policy = `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Coverage and Spend</title>
<style nonce="${nonce}">${STYLE}</style>
</head>
<body>
<main>
<button class="refresh" type="button">Refresh</button>
<h1>Coverage and Spend</h1>
${section("coverage", "Coverage by folder", folders(coverage))}
${section("cheapest", "Gaps that are filled most cheaply", gaps(coverage.cheapest))}
${section("days", "Spend by day", days.length === 0 ? nothing("Nothing was spent in the last thirty days.") : `${chart(days)}${spend(days, "Day", "The last thirty days")}`)}
${section("models", "Spend by model", models.length === 0 ? nothing("No provider has been asked yet.") : spend(models, "Model", "All that is recorded", true))}
</main>
<script nonce="${nonce}">${SCRIPT}</script>
</body>
</html>`;
}

/** What the page has told, if it is that. */
export function told(message: unknown, gaps: number): Told | undefined {
  const { open, refresh } = (message ?? {}) as { open?: unknown; refresh?: unknown };
  if (typeof open === "number" && Number.isInteger(open) && open >= 0 && open < gaps) {
    return { open };
  }
  return refresh === true ? { refresh } : undefined;
}

/** A text as HTML that shows it. */
export function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${String(character.charCodeAt(0))};`);
}

function section(id: string, title: string, content: string): string {
  return `<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>${content}</section>`;
}

function nothing(text: string): string {
  return `<p>${text}</p>`;
}

function folders({ folders: all, described, total }: Coverage): string {
  if (total === 0) {
    return nothing("There is no schema file with places for descriptions.");
  }
  const sum = `${String(described)} of ${String(total)} places are described (${share(described, total)}).`;
  const roots = new Set(all.map(({ root }) => root));
  const rows = all.map((folder) => [
    rowHead(nameOf(folder, roots.size > 1)),
    number(String(folder.described)),
    number(String(folder.total)),
    number(share(folder.described, folder.total)),
    cell(bar(folder.described, folder.total, folder.described === folder.total)),
  ]);
  return table(sum, ["Folder", "#Described", "#Places", "#Share", ""], rows);
}

function nameOf({ root, folder }: FolderCoverage, isOneOfSeveral: boolean): string {
  return isOneOfSeveral ? `${root.split(/[\\/]/).at(-1) ?? root}: ${folder}` : folder;
}

function gaps(cheapest: readonly CheapGap[]): string {
  if (cheapest.length === 0) {
    return nothing("There is none: everything is described, or nothing is known of what it would cost.");
  }
  const rows = cheapest.map(({ label, how, cost }, index) => [
    `<th scope="row"><button class="place" type="button" data-open="${String(index)}" aria-label="Go to ${escaped(label)}">${escaped(label)}</button></th>`,
    cell(HOW[how]),
    number(how === "call" ? dollars(cost) : "free"),
  ]);
  return table("The first fifty at most. Choosing one opens its place.", ["Gap", "How", "#Cost"], rows);
}

function spend(lines: readonly SpendLine[], kind: string, caption: string, withBars = false): string {
  const most = Math.max(...lines.map(({ cost }) => Number(cost)));
  const rows = lines.map(({ label, calls, cachedCalls, inputTokens, outputTokens, cost, unpricedCalls }) => [
    rowHead(label),
    number(String(calls)),
    number(String(cachedCalls)),
    number(inputTokens.toLocaleString("en")),
    number(outputTokens.toLocaleString("en")),
    number(unpricedCalls === 0 ? dollars(cost) : `${dollars(cost)} and ${String(unpricedCalls)} calls of unknown price`),
    ...(withBars ? [cell(bar(Number(cost), most))] : []),
  ]);
  const heads = [kind, "#Calls", "#From the cache", "#Tokens in", "#Tokens out", "#Cost", ...(withBars ? [""] : [])];
  return table(caption, heads, rows);
}

/** One column a day. It says nothing that the table under it does not say. */
function chart(days: readonly SpendLine[]): string {
  const most = Math.max(...days.map(({ cost }) => Number(cost)), Number.MIN_VALUE);
  const columns = days.map(({ cost }, index) => {
    const height = (50 * Number(cost)) / most;
    return `<rect class="fill" x="${String(index * 10 + 1)}" y="${(50 - height).toFixed(2)}" width="8" height="${height.toFixed(2)}"/>`;
  });
  const width = Math.max(days.length, 30) * 10;
  return `<svg class="days" viewBox="0 0 ${String(width)} 50" preserveAspectRatio="none" aria-hidden="true" focusable="false">${columns.join("")}</svg>`;
}

function bar(part: number, whole: number, isFull = false): string {
  const width = whole === 0 ? "0" : ((100 * part) / whole).toFixed(1);
  const rects = `<rect class="track" width="100" height="8"/><rect class="${isFull ? "full" : "fill"}" width="${width}" height="8"/>`;
  return `<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">${rects}</svg>`;
}

function share(part: number, whole: number): string {
  // Not 100 % where something is missing.
  return whole === 0 ? "–" : `${String(Math.floor((100 * part) / whole))} %`;
}

/** @param heads - those of numbers begin with `#`; an empty one is of a column of charts */
function table(caption: string, heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = heads.map((text) => {
    if (text === "") {
      return '<td aria-hidden="true"></td>';
    }
    return text.startsWith("#") ? `<th scope="col" class="number">${text.slice(1)}</th>` : `<th scope="col">${text}</th>`;
  });
  const body = rows.map((cells) => `<tr>${cells.join("")}</tr>`);
  return `<table><caption>${caption}</caption><thead><tr>${head.join("")}</tr></thead><tbody>${body.join("\n")}</tbody></table>`;
}

function rowHead(text: string): string {
  return `<th scope="row">${escaped(text)}</th>`;
}

function cell(html: string): string {
  return `<td>${html}</td>`;
}

function number(text: string): string {
  return `<td class="number">${escaped(text)}</td>`;
}
