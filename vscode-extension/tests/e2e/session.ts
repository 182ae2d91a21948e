/** One editor, one browser and one provider for all tests of a run. */

import assert from "node:assert/strict";
import { type Browser, chromium, type Page } from "playwright-core";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { type Group, serve, write, writeMachineSettings, writeUserSettings } from "./editor";
import { installChromium, installEditor, installWheels } from "./install";
import { DEMO, DIST, EXTENSION, PYTHON, REPOSITORY, VSIX } from "./places";
import { startProvider } from "./provider";

/** Variables that would make a test depend on who runs it. */
const NOT_INHERITED = /_API_KEY$|^PYTHONDONTWRITEBYTECODE$|^OSMOSIS_|^OPENAI_|^ANTHROPIC_|^OLLAMA_|^DBT_/;

export class Session {
  private constructor(
    readonly folder: string,
    readonly host: string,
    readonly provider: string,
    private readonly browser: Browser,
    private readonly groups: readonly Group[],
    private readonly settings: Readonly<Record<string, unknown>>,
  ) {}

  static async start(): Promise<Session> {
    const editor = installEditor(EXTENSION);
    const executablePath = installChromium();
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "osmosis-e2e-"));
    const provider = await startProvider();
    const settings = {
      "osmosis.interpreter": PYTHON,
      "osmosis.provider": "openai-compatible",
      "osmosis.model": "demo-model",
      "osmosis.baseUrl": `${provider.url}/v1`,
      "osmosis.pricing": { "demo-model": { input: 0.25, output: 2 } },
    };
    const wheel = fs.readdirSync(DIST).find((name) => name.endsWith(".whl")) ?? assert.fail("Run: npm run package");
    const wheels = installWheels(PYTHON, REPOSITORY, EXTENSION, path.join(DIST, wheel));
    const environment: Record<string, string | undefined> = {
      OSMOSIS_CACHE_DIR: path.join(folder, "cache"),
      OSMOSIS_TEST_RESULTS: folder,
      OSMOSIS_PYTHON: PYTHON,
      // Of the Pythons on the PATH the first is the one that the wheels are for.
      PATH: [path.dirname(PYTHON), process.env["PATH"]].join(path.delimiter),
      PIP_NO_INDEX: "1",
      PIP_NO_COMPILE: "1",
      PIP_FIND_LINKS: wheels,
      UV_NO_INDEX: "1",
      UV_FIND_LINKS: wheels,
    };
    for (const name of Object.keys(process.env).filter((one) => NOT_INHERITED.test(one))) {
      environment[name] ??= undefined;
    }
    const { host, group } = await serve(editor, folder, VSIX, settings, environment);
    const browser = await chromium.launch({ executablePath, args: FLAGS });
    return new Session(folder, host, provider.url, browser, [group, provider.group], settings);
  }

  /** A copy of the demo project, as a workspace of its own, with settings of the workspace. */
  workspace(settings: Readonly<Record<string, unknown>> = {}): string {
    const folder = fs.realpathSync(fs.mkdtempSync(path.join(this.folder, "workspace-")));
    fs.cpSync(DEMO, folder, { recursive: true });
    write(path.join(folder, ".vscode", "settings.json"), settings);
    return folder;
  }

  /** Give the user settings besides the usual ones. Windows that are open hear of it. */
  userSettings(settings: Readonly<Record<string, unknown>>): void {
    writeUserSettings(this.folder, settings);
  }

  /** A workspace of two folders, each with a copy of the demo project; one of them lies deeper than its folder. */
  twoProjects(): string {
    const folders = [this.workspace(), fs.realpathSync(fs.mkdtempSync(path.join(this.folder, "workspace-")))];
    fs.cpSync(DEMO, path.join(folders[1] ?? "", "analytics", "dbt"), { recursive: true });
    const file = path.join(this.folder, "two.code-workspace");
    fs.writeFileSync(file, JSON.stringify({ folders: folders.map((folder) => ({ path: folder })) }));
    return file;
  }

  /** Give the machine the settings that it has at first, whatever was chosen since. */
  resetMachineSettings(): void {
    writeMachineSettings(this.folder, this.settings);
  }

  /** A page of the browser that is not on the workbench yet. What loads extensions by their folder works there. */
  async page(): Promise<Page> {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 800 } });
    return await context.newPage();
  }

  /** The same as users have it. One that expects to be driven by tests may keep its messages to itself, as 4.139.1 does. */
  async ordinaryPage(): Promise<Page> {
    const page = await this.page();
    await page.addInitScript({ content: ORDINARY });
    return page;
  }

  /** The address of the workbench with a folder or a workspace, and what it should open or do at once. */
  address(workspace: string, payload: readonly (readonly [string, string])[]): string {
    const kind = workspace.endsWith(".code-workspace") ? "workspace" : "folder";
    return `http://${this.host}/?${kind}=${encodeURIComponent(workspace)}&payload=${encodeURIComponent(JSON.stringify(payload))}`;
  }

  /** A path as the browser's side of the workbench names it. */
  remote(file: string): string {
    return `vscode-remote://${this.host}${file}`;
  }

  async stop(): Promise<void> {
    await this.browser.close();
    for (const group of this.groups) {
      await group.stop();
    }
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Takes from the workbench's page that it is driven by tests, before its own script, a deferred one, reads that. */
const ORDINARY = `document.addEventListener("readystatechange", () => {
  const { dataset } = document.getElementById("vscode-workbench-web-configuration") ?? { dataset: {} };
  dataset.settings = dataset.settings?.replace('"enableSmokeTestDriver":true,', "");
});`;

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
