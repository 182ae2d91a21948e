/** Runs the suites of tests/in-host inside the editor's extension host, against the packed extension. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { inspect } from "node:util";
import type { Page } from "playwright-core";
import type { Result } from "../in-host/harness";
import { HARMLESS, HOSTILE } from "../in-host/hostile";
import { EXTENSION } from "./places";
import type { Session } from "./session";
import { session } from "./shared";

/** What a suite needs around it, where that is not a window on a copy of the demo project. */
interface Scene {
  workspace?(session: Session): string;
  /** Settings of the user besides the usual ones. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** The extension that is "under development" beside ours, a folder of tests/in-host. */
  readonly neighbour?: string;
  /** What the user does meanwhile. */
  meanwhile?(page: Page): Promise<void>;
}

const SUITES: Readonly<Record<string, Scene>> = {
  features: {},
  commands: {},
  preview: {},
  settings: {},
  lifecycle: {},
  multiroot: { workspace: (session) => session.twoProjects() },
  neighbours: { neighbour: "neighbour" },
  untrusted: {
    workspace: (session) => session.workspace({ ...HOSTILE, ...HARMLESS }),
    settings: { "security.workspace.trust.enabled": true, "security.workspace.trust.startupPrompt": "never" },
    meanwhile: async (page) => {
      await page.locator(".workspace-trust-editor .monaco-button", { hasText: /^Trust$/ }).press("Enter", { timeout: 0 });
    },
  },
};

const CHOSEN = process.env["OSMOSIS_TEST_SUITES"]?.split(",") ?? Object.keys(SUITES);

describe("inside the extension host", function () {
  this.timeout(600_000);

  for (const name of CHOSEN) {
    it(name, async () => {
      const results = await runSuite(session(), name, SUITES[name] ?? assert.fail(`There is no suite ${name}.`));
      for (const { title, error } of results) {
        console.log(`      ${error === undefined ? "✔" : "✘"} ${title}`);
      }
      assert.deepEqual(
        results.filter(({ error }) => error !== undefined).map(({ title, error }) => `${title}: ${String(error)}`),
        [],
      );
      assert.ok(results.length > 0);
    });
  }
});

async function runSuite(session: Session, name: string, scene: Scene): Promise<Result[]> {
  session.userSettings(scene.settings ?? {});
  const page = await session.page();
  const ended = new Promise<number>((resolve) => {
    void page.exposeFunction("codeAutomationLog", () => undefined);
    void page.exposeFunction("codeAutomationExit", resolve);
  });
  const place = (...names: string[]) => session.remote(path.join(EXTENSION, "out", "in-host", ...names));
  await page.goto(
    session.address(scene.workspace?.(session) ?? session.workspace(), [
      ["extensionDevelopmentPath", place(scene.neighbour ?? "host")],
      ["extensionTestsPath", place(`${name}.js`)],
    ]),
  );
  let missed: string | undefined;
  const meanwhile = scene.meanwhile?.(page).catch((error: unknown) => (missed = inspect(error)));
  const code = await ended.finally(() => page.context().close());
  await meanwhile;
  session.userSettings({});
  assert.equal(code, 0, "the suite could not be run");
  const results = JSON.parse(fs.readFileSync(path.join(session.folder, `${name}.json`), "utf8")) as Result[];
  return missed === undefined ? results : [...results, { title: "the user's part", error: missed }];
}
