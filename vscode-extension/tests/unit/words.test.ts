/** What is said about the server's state, and how long is waited before it is started again. */

import assert from "node:assert/strict";
import { Backoff } from "../../src/common/backoff";
import { judge } from "../../src/common/handshake";
import { PROTOCOL_VERSION, type ProjectStatus, type Status } from "../../src/common/messages";
import { isNewEnough } from "../../src/common/pythons";
import { age, barText, barTooltip, dollars, manifestText } from "../../src/common/wording";

const PROJECT: ProjectStatus = {
  root: "/shop",
  state: "ready",
  problem: null,
  manifest: "/shop/target/manifest.json",
  manifestAge: 7200,
  staleNodes: 0,
  nodes: 24,
  provider: "openai",
  model: "gpt-5-mini",
  budgetRun: null,
  budgetDay: "2.00",
};
const STATUS: Status = {
  protocolVersion: 1,
  serverVersion: "0.1.0",
  projects: [PROJECT],
  gaps: 3,
  running: 0,
  spentSession: "0.0004",
  spentToday: "0.351",
  calls: 2,
  cachedCalls: 1,
  paused: false,
  chosen: null,
};
const RUNNING = { kind: "running", info: { version: "0.1.0", place: "/venv/bin/python", pid: 1 } } as const;

describe("the status bar", () => {
  it("shows what was spent in the session and today, and the day's budget", () => {
    assert.equal(barText(RUNNING, STATUS), "osmosis $0.0004 · $0.35 of $2.00 today");
    assert.equal(barText(RUNNING, { ...STATUS, spentSession: "0" }), "osmosis $0.35 of $2.00 today");
  });

  it("turns while calls run, and shows that generation is paused", () => {
    assert.match(barText(RUNNING, { ...STATUS, running: 2 }), /^\$\(sync~spin\) /);
    assert.match(barText(RUNNING, { ...STATUS, paused: true }), /^\$\(debug-pause\) /);
  });

  it("names no budget where projects have different ones", () => {
    const other = { ...PROJECT, root: "/other", budgetDay: "1.00" };
    assert.equal(barText(RUNNING, { ...STATUS, projects: [PROJECT, other] }), "osmosis $0.0004 · $0.35 today");
  });

  it("says what is wrong", () => {
    const failed = { kind: "failed", problem: "There is no Python.", canInstall: true } as const;
    assert.deepEqual(barTooltip(failed, undefined), ["There is no Python."]);
    assert.match(barTooltip(RUNNING, { ...STATUS, projects: [{ ...PROJECT, problem: "No manifest." }] }).join(), /`\/shop`: No manifest\./);
  });
});

describe("words", () => {
  it("round an amount for the eye", () => {
    const rounded = ["0", "0.00", "0.000123", "0.0096", "0.351", "12.5"].map(dollars);
    assert.deepEqual(rounded, ["$0", "$0", "$0.0001", "$0.01", "$0.35", "$12.50"]);
  });

  it("tell how old a manifest is, and whether that matters", () => {
    assert.deepEqual([0, 59, 60, 7200, 90_000, 200_000].map(age), ["just written", "just written", "1 minute old", "2 hours old", "1 day old", "2 days old"]);
    assert.deepEqual(manifestText(PROJECT, 3600), { text: "Manifest 3 hours old", detail: "24 nodes", worrying: false });
    assert.ok(manifestText({ ...PROJECT, staleNodes: 2 }, 0).worrying);
    assert.ok(manifestText({ ...PROJECT, state: "without manifest", manifestAge: null }, 0).worrying);
  });
});

describe("the handshake", () => {
  const server = { version: "0.0.1", protocolVersion: PROTOCOL_VERSION };

  it("takes a server that speaks the same messages, of whatever version", () => {
    assert.ok(judge("/venv", server, "update").usable);
  });

  it("names an older server with what to run, and a newer one with what to update", () => {
    const older = judge("/venv", { ...server, protocolVersion: PROTOCOL_VERSION - 1 }, "pip install --upgrade x");
    assert.deepEqual(older, { usable: false, problem: "The server 0.0.1 at /venv is too old for this extension. Run: pip install --upgrade x" });
    assert.match(judge("/venv", { ...server, protocolVersion: undefined }, "pip").problem, /too old/);
    assert.match(judge("/venv", { ...server, protocolVersion: PROTOCOL_VERSION + 1 }, "pip").problem, /Update the extension/);
  });
});

describe("starting again", () => {
  it("waits longer each time, and ends", () => {
    const backoff = new Backoff();
    assert.deepEqual(
      Array.from({ length: 6 }, () => backoff.next(100)),
      [1000, 2000, 4000, 8000, 16_000, undefined],
    );
  });

  it("begins anew after the server has run for a while, and when the user asks for it", () => {
    const backoff = new Backoff();
    backoff.next(100);
    backoff.next(100);
    assert.equal(backoff.next(120_000), 1000);
    assert.equal(backoff.next(100), 2000);
    backoff.reset();
    assert.equal(backoff.next(100), 1000);
  });
});

describe("a Python", () => {
  it("is new enough from 3.11 on", () => {
    assert.deepEqual(
      ["2.7.18", "3.9.2", "3.10.14", "3.11.0", "3.14.1", "4.0.0", ""].map(isNewEnough),
      [false, false, false, true, true, true, false],
    );
  });
});
