/** Runs tests/in-host inside the editor's extension host, against the packed extension. */

import assert from "node:assert/strict";
import * as path from "node:path";
import { EXTENSION, Session } from "./session";

describe("inside the extension host", function () {
  this.timeout(120_000);
  let session: Session;

  before(async () => {
    session = await Session.start();
  });
  after(async () => {
    await session.stop();
  });

  it("everything passes", async () => {
    const page = await session.page();
    const said: string[] = [];
    const ended = new Promise<number>((resolve) => {
      void page.exposeFunction("codeAutomationLog", (_: string, args: unknown[]) => {
        said.push(args.map(String).join(" "));
        console.log(args.map(String).join(" "));
      });
      void page.exposeFunction("codeAutomationExit", resolve);
    });
    const host = path.join(EXTENSION, "tests", "in-host", "host");
    const tests = path.join(EXTENSION, "out", "in-host", "index.js");
    await page.goto(
      session.address(session.workspace(), [
        ["extensionDevelopmentPath", session.remote(host)],
        ["extensionTestsPath", session.remote(tests)],
      ]),
    );
    assert.equal(await ended, 0, said.join("\n"));
    await page.close();
  });
});
