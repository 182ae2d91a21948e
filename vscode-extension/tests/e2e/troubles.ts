/** A server that cannot be used, one that dies, and two windows on the same files. */

import * as fs from "node:fs";
import * as path from "node:path";
import { OUTDATED } from "../in-host/outdated";
import { write } from "./editor";
import { session } from "./shared";
import { Workbench } from "./workbench";

const MARTS = "models/marts/_marts.yml";
const OPEN: Workbench[] = [];

describe("in trouble, and in company", function () {
  this.timeout(600_000);

  afterEach(async function () {
    for (const workbench of OPEN.splice(0)) {
      await workbench.lookAtFailure(this.currentTest);
      await workbench.close();
    }
  });

  it("an outdated server is named with what to run; one that dies is started again; both are said", async () => {
    const outdated = path.join(session().folder, "outdated");
    fs.writeFileSync(outdated, OUTDATED, { mode: 0o755 });
    const workspace = session().workspace({ "osmosis.serverPath": outdated });
    const workbench = await Workbench.show(session(), MARTS, workspace);
    OPEN.push(workbench);
    const message = workbench.message("is too old for this extension. Run: pip install --upgrade");
    await message.waitFor();
    await workbench.statusBar.locator(".codicon-error").waitFor();
    write(path.join(workspace, ".vscode", "settings.json"), {});
    await workbench.statusBar.getByText(/today/).waitFor();

    process.kill(newestServer(), "SIGKILL");
    await workbench.message("has ended by itself and is started again").waitFor();
    await workbench.statusBar.getByText(/today/).waitFor();
    await workbench.lens(/gaps: /).waitFor();
  });

  it("two windows on one project have a server each, and what one writes the other shows", async () => {
    const workspace = session().workspace();
    const first = await Workbench.open(session(), MARTS, workspace);
    OPEN.push(first);
    const second = await Workbench.open(session(), MARTS, workspace);
    OPEN.push(second);
    await second.lens(/gaps: /).waitFor();
    await second.moveTo(MARTS, "- name: duration_min");
    await first.moveTo(MARTS, "- name: duration_min");
    await first.press("Control+.");
    await first.choose(first.page.locator(".action-widget .monaco-list-row.action", { hasText: "Generate description for `duration_minutes`" }));
    await first.line("Minutes from unlocking the bike").waitFor();
    await first.saved(MARTS, /Minutes from unlocking the bike/);
    await second.line("Minutes from unlocking the bike").waitFor();
    await second.moveTo(MARTS, "- name: distance_k"); // a line further down now
    await second.press("Control+.");
    await second.choose(second.page.locator(".action-widget .monaco-list-row.action", { hasText: "Generate description for `distance_km`" }));
    await second.line("Kilometres ridden, as the bike").waitFor();
    await second.saved(MARTS, /Minutes from unlocking the bike[^]*Kilometres ridden, as the bike/);
    await first.line("Kilometres ridden, as the bike").waitFor();
  });
});

/** The process of the latest server. */
function newestServer(): number {
  return Math.max(...fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isOurs(name)).map(Number));
}

function isOurs(pid: string): boolean {
  try {
    const command = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return command.includes("osmosis_synthesize.lsp.main") && fs.readlinkSync(`/proc/${pid}/cwd`).startsWith(session().folder);
  } catch {
    return false; // it has ended meanwhile
  }
}
