/** The extension's own view and page, in the workbench, by keyboard. */

import assert from "node:assert/strict";
import * as path from "node:path";
import axe from "axe-core";
import type { FrameLocator, Locator } from "playwright-core";
import { write } from "./editor";
import { session } from "./shared";
import { Workbench } from "./workbench";

const MARTS = "models/marts/_marts.yml";

/** A theme of each kind; editors differ in the identifiers of the former two. */
const THEMES = {
  "vscode-dark": "Default Dark Modern",
  "vscode-light": "Default Light Modern",
  "vscode-high-contrast": "Default High Contrast",
  "vscode-high-contrast-light": "Default High Contrast Light",
};

let workbench: Workbench;

describe("views of its own", function () {
  this.timeout(600_000);

  before(async () => {
    workbench = await Workbench.open(session(), MARTS);
    await workbench.lens(/gaps: /).waitFor();
  });
  afterEach(async function () {
    await workbench.lookAtFailure(this.currentTest);
  });
  after(async () => {
    await workbench.close();
  });

  it("several descriptions are shown first, can be unchecked and edited, and are put in place as one edit", async () => {
    await workbench.commandAmongOthers("osmosis: Generate Descriptions in This File");
    await row("duration_minutes").waitFor();
    await moveTo(row("rider_trip_number"));
    await workbench.press("Space");
    await row("rider_trip_number").locator('.custom-view-tree-node-item-checkbox[aria-checked="false"]').waitFor();
    await moveTo(row("duration_minutes"));
    await workbench.press("F2");
    await workbench.page.locator(".quick-input-widget input").fill("How long the bike was out, in minutes.");
    await workbench.press("Enter");
    await row("How long the bike was out, in minutes.").waitFor();
    await workbench.page.locator(".quick-input-widget").waitFor({ state: "hidden" });
    await workbench.picture("preview", { x: 0, y: 330, width: 1280, height: 470 });
    await workbench.press("Control+Enter");
    await workbench.line("Account that unlocked the bike.").waitFor();
    await row("duration_minutes").waitFor({ state: "detached" });
    await workbench.command("osmosis: Discard All Proposed Descriptions");
    await row("rider_trip_number").waitFor({ state: "detached" });
    await workbench.page.locator(".tab", { hasText: "_marts.yml" }).press("Enter");
    await workbench.saved(MARTS, /- name: duration_minutes\n +description: "?How long the bike was out, in minutes\./);
  });

  it("coverage and spend are an editor page whose gaps lead to their places", async () => {
    await workbench.command("View: Hide Panel");
    await workbench.command("osmosis: Show Coverage and Spend");
    const page = report();
    await page.getByRole("heading", { name: "Coverage by folder" }).waitFor();
    assert.equal(await page.getByRole("table").count(), 4);
    await workbench.picture("report", { x: 0, y: 30, width: 1280, height: 690 });
    for (const [kind, theme] of Object.entries(THEMES)) {
      write(path.join(workbench.workspace, ".vscode", "settings.json"), { "workbench.colorTheme": theme });
      await page.locator(`body[data-vscode-theme-kind="${kind}"]`).waitFor();
      await workbench.snapshot(`report-${kind}`);
      assert.deepEqual(await barriers(page), [], theme);
    }
    await page.getByRole("button", { name: /^Go to/ }).first().press("Enter");
    await workbench.page.locator(".tab.active", { hasText: /\.ya?ml/ }).waitFor();
  });
});

/** What keeps people from using a page, as far as a program can tell: WCAG 2.2, levels A and AA. */
async function barriers(page: FrameLocator): Promise<string[]> {
  const frame = (await (await page.locator("body").elementHandle()).ownerFrame()) ?? assert.fail("no frame");
  await frame.evaluate(axe.source);
  const { violations } = await frame.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } };
    return await axe.run();
  });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

function row(text: string): Locator {
  return workbench.page.locator(".customview-tree .monaco-list-row", { hasText: text });
}

function report(): FrameLocator {
  return workbench.page.frameLocator("iframe.webview").frameLocator("#active-frame");
}

/** Go down the tree, which begins anew at its end, to a row. */
async function moveTo(wanted: Locator): Promise<void> {
  await workbench.press("Home");
  while (!((await wanted.first().getAttribute("class")) ?? "").includes("focused")) {
    await workbench.press("ArrowDown");
  }
}
