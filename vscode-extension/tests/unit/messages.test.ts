/** The messages' types, and the commands, against the server's own. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as path from "node:path";
import { keyVariable, PROVIDERS } from "../../src/common/providers";
import { manifest } from "./manifest";
import { EXTENSION, python } from "./server";

/** Commands whose answer is not for the eye: the extension's own pages and views use them. */
const NOT_FOR_THE_PALETTE = ["osmosis.preview", "osmosis.propose", "osmosis.applyTexts", "osmosis.coverage", "osmosis.spend", "osmosis.models"];

function serverCommands(): string[] {
  return python("from osmosis_synthesize.lsp.messages import COMMANDS\njson.dump(sorted(COMMANDS), sys.stdout)") as string[];
}

describe("messages", () => {
  it("have the types that the server says they have", () => {
    execFileSync(process.execPath, [path.join(EXTENSION, "scripts", "messages.mjs"), "--check"], { stdio: "pipe" });
  });

  it("each command of the server has a title, or serves a view", () => {
    const titled = manifest.contributes.commands.map(({ command }) => command);
    const left = serverCommands().filter((command) => !titled.includes(command));
    assert.deepEqual(left.sort(), [...NOT_FOR_THE_PALETTE].sort());
  });

  it("each command that needs the server is hidden without it", () => {
    const when = new Map((manifest.contributes.menus["commandPalette"] ?? []).map((item) => [item.command, item.when]));
    const needing = serverCommands();
    for (const { command, category } of manifest.contributes.commands) {
      assert.equal(category, "osmosis");
      if (needing.includes(command)) {
        assert.match(when.get(command) ?? "", /^osmosis\.running/, command);
      }
    }
  });
});

describe("providers", () => {
  it("have their keys where the server looks for them", () => {
    const source = `
from osmosis_synthesize.providers.known import KNOWN_PROVIDERS
from osmosis_synthesize.settings.keys import OWN_KEY_VARIABLE
known = {name: provider.key_variables[:1] or (OWN_KEY_VARIABLE,) for name, provider in KNOWN_PROVIDERS.items()}
json.dump({name: variables[0] for name, variables in known.items()}, sys.stdout)`;
    const known = python(source) as Record<string, string>;
    const keyless = ["facts", "editor"];
    assert.deepEqual([...PROVIDERS, ...keyless].sort(), Object.keys(known).sort());
    for (const provider of PROVIDERS) {
      assert.equal(keyVariable(provider), known[provider], provider);
    }
  });

  it("of third parties have theirs by name", () => {
    const source = "from osmosis_synthesize.settings.keys import own_key_variables\njson.dump(own_key_variables(given)[0], sys.stdout)";
    assert.equal(keyVariable("my-own.llm"), python(source, "my-own.llm"));
  });
});
