/** The workbench in the browser, driven by keyboard as a user can. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Locator, Page } from "playwright-core";
import { EXTENSION } from "./places";
import type { Session } from "./session";

const STATUS = '[id="osmosis-synthesize.osmosis-synthesize.osmosis.status"]';

export class Workbench {
  private constructor(
    readonly page: Page,
    readonly workspace: string,
  ) {}

  /** A window on a copy of the demo project, with a file open and its server running. */
  static async open(session: Session, file: string, workspace?: string): Promise<Workbench> {
    const workbench = await Workbench.show(session, file, workspace);
    await workbench.statusBar.getByText(/today/).waitFor();
    await workbench.press("Control+B"); // hides the list of files
    return workbench;
  }

  /**
   * The same, without waiting for the server.
   *
   * @param workspace - one of its own, if none is given
   */
  static async show(session: Session, file: string, workspace = session.workspace()): Promise<Workbench> {
    return await Workbench.load(await session.ordinaryPage(), session, file, workspace, []);
  }

  /** A window with an extension "under development" besides, a folder of tests/in-host; code-server 4.139.1 refuses that. */
  static async beside(neighbour: string, session: Session, file: string, workspace: string): Promise<Workbench> {
    const folder = session.remote(path.join(EXTENSION, "out", "in-host", neighbour));
    return await Workbench.load(await session.ordinaryPage(), session, file, workspace, [["extensionDevelopmentPath", folder]]);
  }

  private static async load(page: Page, session: Session, file: string, workspace: string, more: [string, string][]): Promise<Workbench> {
    page.setDefaultTimeout(120_000);
    await page.goto(session.address(workspace, [["openFile", session.remote(path.join(workspace, file))], ...more]));
    const workbench = new Workbench(page, workspace);
    await page.locator(".tab", { hasText: path.basename(file) }).waitFor();
    return workbench;
  }

  get statusBar(): Locator {
    return this.page.locator(STATUS);
  }

  /** A message with a button. */
  message(text: string): Locator {
    return this.page.locator(".notification-toast", { hasText: text });
  }

  /** A line over a model. */
  lens(text: RegExp): Locator {
    return this.page.locator(".codelens-decoration a", { hasText: text }).first();
  }

  /** A line of the editor. */
  line(text: string | RegExp): Locator {
    return this.page.locator(".view-line", { hasText: text });
  }

  /** Put the cursor right after a text of a file, as it is on disk. */
  async moveTo(file: string, text: string): Promise<void> {
    const content = fs.readFileSync(path.join(this.workspace, file), "utf8");
    const offset = content.indexOf(text);
    assert.notEqual(offset, -1, `${text} is not in ${file}`);
    const before = content.slice(0, offset + text.length).split("\n");
    const place = `${String(before.length)}:${String((before.at(-1)?.length ?? 0) + 1)}`;
    await this.press("Control+G");
    await this.page.locator(".quick-input-widget input").fill(`:${place}`);
    await this.press("Enter");
    await this.page.locator(".quick-input-widget").waitFor({ state: "hidden" });
    await this.page.getByText(`Ln ${place.replace(":", ", Col ")}`, { exact: true }).waitFor();
  }

  /** Run a command by its title, from the palette. */
  async command(title: string): Promise<void> {
    await this.press("F1");
    await this.page.locator(".quick-input-widget input").fill(`>${title}`);
    await this.page.locator(".quick-input-list .monaco-list-row.focused", { hasText: title }).waitFor();
    await this.press("Enter");
  }

  /** The same where other commands have these words too: by arrow keys. */
  async commandAmongOthers(title: string): Promise<void> {
    await this.press("F1");
    await this.page.locator(".quick-input-widget input").fill(`>${title}`);
    await this.choose(this.page.locator(`.quick-input-list .monaco-list-row[aria-label^="${title}"]`).first());
  }

  /** A row of the list that is open. */
  pick(text: string | RegExp): Locator {
    return this.page.locator(".quick-input-list").getByRole("option", { name: text }).first();
  }

  /** Choose a row of the list that is open, by arrow keys: a click on one may be swallowed. */
  async choose(row: Locator): Promise<void> {
    await row.waitFor();
    while (!((await row.getAttribute("class")) ?? "").includes("focused")) {
      await this.press("ArrowDown");
    }
    await this.press("Enter");
  }

  async press(key: string): Promise<void> {
    await this.page.keyboard.press(key);
  }

  async type(text: string): Promise<void> {
    await this.page.keyboard.type(text);
  }

  /** A picture for the README, of a part of the window. */
  async picture(name: string, clip: { x: number; y: number; width: number; height: number }): Promise<void> {
    const folder = process.env["OSMOSIS_PICTURES"] ?? path.join(EXTENSION, "out", "images");
    fs.mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: path.join(folder, `${name}.png`), clip, animations: "disabled" }); // what fades in is there
  }

  /** A picture of the window for whoever looks at how it was. */
  async snapshot(name: string): Promise<void> {
    await this.page.screenshot({ path: path.join(EXTENSION, "out", "images", `${name}.png`) });
  }

  /** Save the file, which was changed; it has a text then. */
  async saved(file: string, text: RegExp): Promise<void> {
    await this.page.locator(".tab.active.dirty").waitFor();
    await this.press("Control+S");
    await this.page.locator(".tab.active:not(.dirty)").waitFor();
    assert.match(fs.readFileSync(path.join(this.workspace, file), "utf8"), text);
  }

  /** What was on the page where a test has failed. */
  async lookAtFailure(test: Mocha.Test | undefined): Promise<boolean> {
    if (test?.state !== "failed") {
      return false;
    }
    const name = test.title.replaceAll(/\W+/g, "-");
    await this.page.screenshot({ path: path.join(EXTENSION, "out", `failed-${name}.png`) });
    return true;
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}
