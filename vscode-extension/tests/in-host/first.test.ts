import assert from "node:assert/strict";
import * as vscode from "vscode";
import type { Api } from "../../src/extension";

describe("the extension", () => {
  it("starts the server for the demo project", async () => {
    const extension = vscode.extensions.getExtension<Api>("osmosis-synthesize.osmosis-synthesize");
    assert.ok(extension);
    const api = await extension.activate();
    while (api.server.state.kind === "starting") {
      await new Promise((resolve) => {
        const listening = api.server.onDidChange(() => {
          listening.dispose();
          resolve(undefined);
        });
      });
    }
    assert.deepEqual(api.server.state.kind, "running");
  });
});
