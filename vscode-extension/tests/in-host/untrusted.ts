/** A workspace that the user does not trust: what it says about programs, hosts, providers and budgets has no effect. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import * as vscode from "vscode";
import { actionAt, after, api, open, perform, program, root, running, suite, until } from "./harness";
import { HOSTILE, HARMLESS, TRAP } from "./hostile";

const MARTS = "models/marts/_marts.yml";

export const run = suite("untrusted", () => {
  it("is restricted, and has a server all the same", async () => {
    assert.equal(vscode.workspace.isTrusted, false);
    const { server } = await running();
    const place = server.state.kind === "running" ? server.state.info.place : "";
    assert.equal(place, vscode.workspace.getConfiguration("osmosis").inspect("interpreter")?.globalValue);
  });

  it("each setting that is restricted is the user's, whatever the workspace says", () => {
    const settings = vscode.workspace.getConfiguration("osmosis");
    const manifest = vscode.extensions.getExtension("osmosis-synthesize.osmosis-synthesize")?.packageJSON as Manifest;
    const { restrictedConfigurations } = manifest.capabilities.untrustedWorkspaces;
    assert.deepEqual(Object.keys(HOSTILE).sort(), [...restrictedConfigurations].sort());
    for (const [name, value] of Object.entries(HOSTILE)) {
      assert.notDeepEqual(settings.get(name.replace("osmosis.", "")), value, name);
    }
    for (const [name, value] of Object.entries(HARMLESS)) {
      assert.deepEqual(settings.get(name.replace("osmosis.", "")), value, name);
    }
  });

  it("the server hears of none of them", async () => {
    const { server } = await running();
    const [project] = server.status?.projects ?? [];
    assert.equal(project?.provider, "openai-compatible");
    assert.equal(project.model, "demo-model");
    assert.deepEqual([project.budgetRun, project.budgetDay], [null, null]);
  });

  it("none of its files is run: not to find a server, and not to describe a column", async () => {
    const trap = path.join(root().fsPath, TRAP);
    const python = path.join(root().fsPath, ".venv", "bin", "python");
    program(path.basename(python), `#!/bin/sh\ntouch "${trap}"\n`, path.dirname(python));
    const { server } = await api();
    await server.restartByHand();
    await running();
    const { document } = await open(MARTS);
    await perform(await actionAt(document, after(document, "- name: duration_min"), /^Generate description for `duration_minutes`/));
    assert.match(document.getText(), /Minutes from unlocking the bike/);
    assert.ok(!fs.existsSync(trap));
  });

  it("once it is trusted, what it says counts", async () => {
    const { server } = await running();
    const settings = () => vscode.workspace.getConfiguration("osmosis");
    await vscode.commands.executeCommand("workbench.trust.manage");
    await until(() => (vscode.workspace.isTrusted ? true : undefined), vscode.workspace.onDidGrantWorkspaceTrust);
    await until(
      () => (settings().get("serverPath") === HOSTILE["osmosis.serverPath"] ? true : undefined),
      vscode.workspace.onDidChangeConfiguration,
    );
    await until(() => (server.state.kind === "failed" ? true : undefined), server.onDidChange);
    assert.match(server.state.kind === "failed" ? server.state.problem : "", /no-such-server has no server that starts/);
  });
});

interface Manifest {
  readonly capabilities: { readonly untrustedWorkspaces: { readonly restrictedConfigurations: readonly string[] } };
}
