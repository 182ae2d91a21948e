/** Runs the suites of tests/in-host inside the editor's extension host, against the packed extension. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Result } from "../in-host/harness";
import { EXTENSION } from "./places";
import { session } from "./shared";
import type { Session } from "./session";

describe("inside the extension host", function () {
  this.timeout(120_000);

  for (const name of (process.env["OSMOSIS_TEST_SUITES"] ?? "features,commands,preview,settings,lifecycle,multiroot").split(",")) {
    it(name, async () => {
      const results = await runSuite(session(), name, name === "multiroot" ? session().twoProjects() : session().workspace());
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

async function runSuite(session: Session, name: string, workspace: string): Promise<Result[]> {
  const page = await session.page();
  const ended = new Promise<number>((resolve) => {
    void page.exposeFunction("codeAutomationLog", () => undefined);
    void page.exposeFunction("codeAutomationExit", resolve);
  });
  await page.goto(
    session.address(workspace, [
      ["extensionDevelopmentPath", session.remote(path.join(EXTENSION, "tests", "in-host", "host"))],
      ["extensionTestsPath", session.remote(path.join(EXTENSION, "out", "in-host", `${name}.js`))],
    ]),
  );
  const code = await ended;
  await page.context().close();
  assert.equal(code, 0, "the suite could not be run");
  return JSON.parse(fs.readFileSync(path.join(session.folder, `${name}.json`), "utf8")) as Result[];
}
