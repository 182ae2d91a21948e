/** The server's life: found, judged, restarted. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import * as vscode from "vscode";
import { another, api, pid, program, root, running, suite, until, withSetting } from "./harness";
import { OUTDATED } from "./outdated";

export const run = suite("lifecycle", () => {
  before(async () => {
    await running();
  });

  it("a server that dies is started again", async () => {
    const { server } = await api();
    const before = await pid();
    process.kill(before, "SIGKILL");
    await until(() => (server.state.kind === "waiting" ? true : undefined), server.onDidChange);
    await running();
    assert.notEqual(await pid(), before);
  });

  it("restarts that are asked for at once are one", async () => {
    const { server } = await api();
    const seen: string[] = [];
    const listening = server.onDidChange(() => {
      if (seen.at(-1) !== server.state.kind) {
        seen.push(server.state.kind);
      }
    });
    await Promise.all(["one", "two", "three", "four"].map((reason) => server.restart(reason)));
    listening.dispose();
    assert.equal(server.state.kind, "running");
    assert.deepEqual(
      seen.filter((kind) => kind === "starting"),
      ["starting"],
    );
  });

  it("a restart that is asked for while the server before it ends leaves one server", async () => {
    const { server } = await api();
    const before = await pid();
    let second: Promise<void> | undefined;
    const listening = server.onDidChange(() => {
      if (server.state.kind === "starting" && server.state.what === "the one before it ends") {
        second ??= server.restart("asked for while the one before it ended");
      }
    });
    await server.restart("asked for first");
    await (second ?? assert.fail("it was not seen to end"));
    listening.dispose();
    const now = await pid();
    assert.notEqual(now, before);
    assert.deepEqual(servers(), [now]);
  });

  it("a server that speaks other messages is not used, and the user is told what to run", async () => {
    await withSetting("serverPath", program("outdated", OUTDATED), async () => {
      const problem = await failure();
      assert.match(problem, /server 0\.0\.1 at .*outdated is too old for this extension\. Run: pip install --upgrade/);
    });
    await running();
  });

  it("a program that is no server is named", async () => {
    await withSetting("serverPath", program("useless", "#!/usr/bin/env python3\nimport sys; sys.exit('no such module')"), async () => {
      assert.match(await failure(), /useless has no server that starts/);
    });
    await running();
  });

  it("an interpreter without the server is named", async () => {
    await withSetting("interpreter", "/usr/bin/env", async () => {
      assert.match(await failure(), /\/usr\/bin\/env has no server that starts/);
    });
    await running();
  });

  it("a key is given to the server in its environment, and is in no setting", async () => {
    const { keys } = await api();
    const before = await pid();
    await keys.set("OPENROUTER_API_KEY", "or-test-0123456789");
    const now = await another(before);
    const environment = fs.readFileSync(`/proc/${String(now)}/environ`, "utf8").split("\0");
    assert.ok(environment.includes("OPENROUTER_API_KEY=or-test-0123456789"));
    assert.ok(!JSON.stringify(vscode.workspace.getConfiguration("osmosis")).includes("or-test"));
    await keys.remove("OPENROUTER_API_KEY");
    const then = await another(now);
    assert.ok(!fs.readFileSync(`/proc/${String(then)}/environ`, "utf8").includes("OPENROUTER_API_KEY"));
  });

  it("the server is not started in the workspace, so that no file of it can take the place of a module", async () => {
    fs.writeFileSync(path.join(root().fsPath, "msgspec.py"), "raise SystemExit('taken over')");
    const { server } = await api();
    await server.restartByHand();
    await running();
    assert.notEqual(fs.readlinkSync(`/proc/${String(await pid())}/cwd`), root().fsPath);
  });

  it("without a project there is no server; with one it comes", async () => {
    const { server, projects } = await api();
    const file = vscode.Uri.joinPath(root(), "dbt_project.yml");
    const aside = vscode.Uri.joinPath(root(), "aside.yml");
    await vscode.workspace.fs.rename(file, aside);
    await until(() => (server.state.kind === "idle" ? true : undefined), server.onDidChange);
    assert.deepEqual(projects.roots, []);
    await vscode.workspace.fs.rename(aside, file);
    await running();
  });
});

async function failure(): Promise<string> {
  const { server } = await api();
  return await until(() => (server.state.kind === "failed" ? server.state.problem : undefined), server.onDidChange);
}

/** The processes of all servers that this window has. */
function servers(): number[] {
  return fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isServerOfOurs(name)).map(Number);
}

function isServerOfOurs(pid: string): boolean {
  try {
    // The parent's number comes second after the program's name, which stands in parentheses.
    const parent = fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[1];
    return Number(parent) === process.pid && fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("osmosis_synthesize.lsp.main");
  } catch {
    return false; // it has ended meanwhile
  }
}
