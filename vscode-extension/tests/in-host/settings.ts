/** What the user sets, on its way to the server. The values and defaults of all settings: tests/unit/settings.test.ts. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import * as vscode from "vscode";
import { type ProjectStatus, PROTOCOL_VERSION } from "../../src/common/messages";
import { python } from "../unit/server";
import { type Answer, READ, VALUES } from "../values/values";
import { after, api, open, program, running, suite, until, withSetting } from "./harness";

export const run = suite("settings", () => {
  before(async () => {
    await running();
  });

  it("a setting of the user wins over the project's own, and reaches the server at once", async () => {
    await withSetting("maxCostPerRun", 0.25, async () => {
      await projectWith((project) => project.budgetRun === "0.25");
    });
    await projectWith((project) => project.budgetRun === null);
  });

  it("what the user has not set is left to the project", async () => {
    await withSetting("provider", undefined, async () => {
      await projectWith((project) => project.provider === "openai");
    });
    await projectWith((project) => project.provider === "openai-compatible");
  });

  it("a provider that the user sets is used", async () => {
    await withSetting("provider", "facts", async () => {
      await projectWith((project) => project.provider === "facts");
    });
  });

  it("a workspace can set the severity of gaps", async () => {
    const { document } = await open("models/marts/_marts.yml");
    const settings = vscode.workspace.getConfiguration("osmosis");
    const severity = async (wanted: vscode.DiagnosticSeverity) => {
      await until(
        () => vscode.languages.getDiagnostics(document.uri).find((one) => one.source === "osmosis" && one.severity === wanted),
        vscode.languages.onDidChangeDiagnostics,
      );
    };
    await severity(vscode.DiagnosticSeverity.Hint);
    await settings.update("diagnostics.severity", "warning", vscode.ConfigurationTarget.Workspace);
    await severity(vscode.DiagnosticSeverity.Warning);
    await settings.update("diagnostics.severity", undefined, vscode.ConfigurationTarget.Workspace);
    await severity(vscode.DiagnosticSeverity.Hint);
  });

  it("code lenses can be switched off", async () => {
    const { server } = await api();
    const { document } = await open("models/marts/_marts.yml");
    const lenses = async (some: boolean) => {
      await until(
        async () => {
          const found = await vscode.commands.executeCommand<vscode.CodeLens[]>("vscode.executeCodeLensProvider", document.uri);
          return found.length > 0 === some ? true : undefined;
        },
        server.onDidChange,
        vscode.languages.onDidChangeDiagnostics,
      );
    };
    await lenses(true);
    await withSetting("codeLens.enable", false, async () => {
      await lenses(false);
    });
    await lenses(true);
  });

  it("no workspace can say where a key is sent", async () => {
    const settings = vscode.workspace.getConfiguration("osmosis");
    for (const name of ["baseUrl", "trustedHosts"]) {
      await assert.rejects(
        async () => {
          await settings.update(name, name === "baseUrl" ? "https://evil.example" : ["evil.example"], vscode.ConfigurationTarget.Workspace);
        },
        /can be written only|user settings|remote settings|machine/i,
      );
    }
  });

  it("what a settings file of the repository says about it has no effect", async () => {
    const { server } = await api();
    const file = vscode.Uri.joinPath((vscode.workspace.workspaceFolders?.[0] ?? assert.fail()).uri, ".vscode", "settings.json");
    const before = server.state;
    const changed = new Promise((resolve) => {
      const listening = vscode.workspace.onDidChangeConfiguration(() => {
        listening.dispose();
        resolve(undefined);
      });
    });
    const written = { "osmosis.baseUrl": "https://evil.example", "osmosis.trustedHosts": ["evil.example"], "osmosis.language": "French" };
    await vscode.workspace.fs.writeFile(file, Buffer.from(JSON.stringify(written)));
    await changed;
    const settings = vscode.workspace.getConfiguration("osmosis");
    assert.equal(settings.get("language"), "French");
    assert.notEqual(settings.get("baseUrl"), "https://evil.example");
    assert.deepEqual(settings.get("trustedHosts"), []);
    assert.deepEqual(server.state, before);
    await vscode.workspace.fs.delete(file);
  });

  it("a setting that is given at the start restarts the server", async () => {
    const { server } = await api();
    const pid = () => (server.state.kind === "running" ? server.state.info.pid : undefined);
    const before = pid();
    await withSetting("trustedHosts", ["llm.example.com"], async () => {
      await until(() => (pid() !== undefined && pid() !== before ? true : undefined), server.onDidChange);
    });
    await running();
  });

  it("each setting, as the user has set it, goes through the editor to the server's own code and comes back", async () => {
    const { server } = await api();
    const settings = vscode.workspace.getConfiguration("osmosis");
    const values = { ...VALUES, dbtCommand: ["dbt", "--quiet"] };
    const before = Object.keys(values).map((name) => [name, settings.inspect(name)?.globalValue] as const);
    for (const [name, value] of Object.entries(values)) {
      await settings.update(name, value, vscode.ConfigurationTarget.Global);
    }
    const mirror = program("mirror", MIRROR);
    await withSetting("serverPath", mirror, async () => {
      await until(() => (server.state.kind === "running" && server.state.info.place === mirror ? true : undefined), server.onDidChange);
      const heard = JSON.parse(fs.readFileSync(`${mirror}.json`, "utf8")) as { options: { dbtCommand: unknown } };
      const { found, problems } = python(READ, { ...heard, project: fs.realpathSync(path.dirname(mirror)) }) as Answer;
      assert.deepEqual(problems, []);
      assert.deepEqual(found, VALUES);
      assert.deepEqual(heard.options.dbtCommand, values.dbtCommand);
    });
    for (const [name, value] of before) {
      await settings.update(name, value, vscode.ConfigurationTarget.Global);
    }
    await running();
  });

  it("language status items have what the status says", async () => {
    const { document } = await open("models/marts/_marts.yml");
    assert.ok(after(document, "models:"));
    const { server } = await api();
    const project = await projectWith((one) => one.manifestAge !== null);
    assert.equal(project.state, "ready");
    assert.equal(server.status?.protocolVersion, 1);
  });
});

async function projectWith(what: (project: ProjectStatus) => boolean): Promise<ProjectStatus> {
  const { server } = await api();
  return await until(() => server.status?.projects.find(what), server.onDidChange);
}

/** A server that writes down what it is told at its start, and asks for the settings. */
const MIRROR = `#!/usr/bin/env python3
import json, sys

def say(**message):
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
    sys.stdout.buffer.flush()

options = asked = None
while header := sys.stdin.buffer.readline():
    length = int(header.split(b":")[1]); sys.stdin.buffer.readline()
    message = json.loads(sys.stdin.buffer.read(length))
    method = message.get("method")
    if method == "initialize":
        options = message["params"]["initializationOptions"]
        capabilities = {"experimental": {"osmosis": {"protocolVersion": ${String(PROTOCOL_VERSION)}}}}
        say(id=message["id"], result={"capabilities": capabilities, "serverInfo": {"name": "mirror", "version": "1"}})
    elif method == "osmosis/status":
        asked = message["id"]
        say(id="settings", method="workspace/configuration", params={"items": [{"section": "osmosis"}]})
    elif message.get("id") == "settings":
        with open(sys.argv[0] + ".json", "w") as file:
            json.dump({"options": options, "settings": message["result"][0]}, file)
        say(id=asked, result={"projects": [], "spentToday": "0", "spentSession": "0", "running": 0, "paused": False})
    elif method == "exit":
        break
    elif "id" in message:
        say(id=message["id"], result=None)
`;
