/** Every setting and every default of package.json, to the server's own code and back. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { AT_START, initializationOptions, OF_VIEWS, OWN, serverSettings, settingNames } from "../../src/common/settings";
import { type Answer, READ, VALUES } from "../values/values";
import { manifest } from "./manifest";
import { python } from "./server";

const properties = manifest.contributes.configuration.properties;
const names = settingNames(manifest);

function throughServer(lookup: (name: string) => unknown): Answer {
  const project = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "osmosis-project-")));
  return python(READ, { project, settings: serverSettings(names, lookup), options: initializationOptions(lookup) }) as Answer;
}

describe("settings", () => {
  it("each of the server's is declared, and nothing is declared that is nobody's", () => {
    const known = Object.keys(throughServer(() => undefined).found);
    assert.deepEqual([...known, ...OWN, ...OF_VIEWS, "dbtCommand"].sort(), [...names].sort());
  });

  it("each default is the server's", () => {
    const { found } = throughServer(() => undefined);
    for (const [name, value] of Object.entries(found)) {
      // The server names the default provider's own model; another provider has another one.
      const expected = name === "model" ? null : value;
      assert.deepEqual(properties[`osmosis.${name}`]?.default, expected, name);
    }
  });

  it("each value reaches the server as it was set", () => {
    const { found, problems } = throughServer((name) => VALUES[name]);
    assert.deepEqual(problems, []);
    assert.deepEqual(found, VALUES);
  });

  it("nothing is sent that the user has not set", () => {
    assert.deepEqual(serverSettings(names, () => undefined), {});
    assert.deepEqual(initializationOptions(() => null), {});
  });

  it("what decides where a key goes, and what names a program, is sent at the start only", () => {
    const later = serverSettings(names, () => "x");
    for (const name of [...AT_START, ...OWN, ...OF_VIEWS]) {
      assert.ok(!(name in later), name);
    }
    assert.deepEqual(Object.keys(initializationOptions(() => "x")), [...AT_START]);
  });

  it("no workspace can say where a key goes", () => {
    for (const name of ["baseUrl", "trustedHosts"]) {
      assert.equal(properties[`osmosis.${name}`]?.scope, "machine", name);
    }
  });

  it("what names a program, a host or a provider, or is a budget, has no effect in a workspace that is not trusted", () => {
    const restricted = manifest.capabilities.untrustedWorkspaces.restrictedConfigurations;
    const guarded = [...OWN, ...AT_START, "provider", "model", "apiVersion", "deployment", "maxCostPerRun", "maxCostPerDay", "pricing"];
    assert.deepEqual([...restricted].sort(), guarded.map((name) => `osmosis.${name}`).sort());
  });

  it("each has a description that says something, and a default of its type", () => {
    for (const [name, { type, default: value, markdownDescription }] of Object.entries(properties)) {
      assert.ok(markdownDescription.length > 20, name);
      const actual = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
      const allowed = [type].flat().map((one) => (one === "integer" ? "number" : one));
      assert.ok(allowed.includes(actual), name);
    }
  });
});
