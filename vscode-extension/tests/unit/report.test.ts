/** The page of the report, and what it may tell the extension. */

import assert from "node:assert/strict";
import type { CheapGap, SpendLine } from "../../src/common/messages";
import { type Figures, page, told } from "../../src/report/page";

const GAP: CheapGap = {
  uri: "file:///shop/models/_shop.yml",
  line: 3,
  label: "orders.<img src=x>",
  node: "model.shop.orders",
  column: "<img src=x>",
  how: "call",
  cost: "0.0004",
};
const LINE: SpendLine = {
  label: "openai \"gpt\" & co",
  calls: 12,
  cachedCalls: 3,
  inputTokens: 12_345,
  outputTokens: 678,
  cost: "0.5",
  unpricedCalls: 0,
};
const FIGURES: Figures = {
  coverage: {
    folders: [
      { root: "/shop", folder: "models/marts", described: 199, total: 200 },
      { root: "/shop", folder: "models/staging", described: 4, total: 4 },
    ],
    cheapest: [GAP, { ...GAP, label: "orders.id", how: "inherited", cost: "0" }],
    described: 203,
    total: 204,
  },
  days: [{ ...LINE, label: "2026-01-01" }],
  models: [LINE, { ...LINE, label: "own model", cost: "0", unpricedCalls: 2 }],
};

describe("the report's page", () => {
  const html = page(FIGURES, "Tm9uY2U=");

  it("loads nothing, and runs nothing but its own script", () => {
    assert.match(html, /content="default-src 'none'; style-src 'nonce-Tm9uY2U='; script-src 'nonce-Tm9uY2U='"/);
    assert.doesNotMatch(html, /https?:|\son\w+=|\sstyle=|<img|<link|unsafe/);
    assert.equal(html.match(/<script/g)?.length, 1);
  });

  it("shows names as they are, whatever they look like", () => {
    assert.match(html, /orders\.&#60;img src=x&#62;/);
    assert.match(html, /openai &#34;gpt&#34; &#38; co/);
  });

  it("can be heard: each table has a caption, column heads and row heads, and charts are left out", () => {
    assert.equal(html.match(/<table>/g)?.length, 4);
    assert.equal(html.match(/<table><caption>[^<]+<\/caption><thead><tr><th scope="col"/g)?.length, 4);
    assert.equal(html.match(/<tbody><tr><th scope="row"/g)?.length, 4);
    for (const [svg] of html.matchAll(/<svg[^>]*>/g)) {
      assert.match(svg, /aria-hidden="true"/);
    }
    for (const [, id] of html.matchAll(/aria-labelledby="(\w+)"/g)) {
      assert.match(html, new RegExp(`<h2 id="${String(id)}">`));
    }
  });

  it("says that all is described only where it is", () => {
    assert.match(html, /203 of 204 places are described \(99 %\)/);
    assert.match(html, /models\/staging<\/th>.*100 %/);
  });

  it("names prices that are not known", () => {
    assert.match(html, /\$0 and 2 calls of unknown price/);
  });

  it("says so where there is nothing", () => {
    const empty = page({ coverage: { folders: [], cheapest: [], described: 0, total: 0 }, days: [], models: [] }, "x");
    assert.doesNotMatch(empty, /<table/);
    assert.match(empty, /Nothing was spent/);
  });

  it("is believed in nothing but a gap that it shows, or a wish to have all anew", () => {
    assert.deepEqual(told({ open: 1 }, 2), { open: 1 });
    assert.deepEqual(told({ refresh: true }, 0), { refresh: true });
    for (const other of [{ open: 2 }, { open: -1 }, { open: 0.5 }, { open: "0" }, { open: "file:///etc/passwd" }, null, "refresh", {}]) {
      assert.equal(told(other, 2), undefined);
    }
  });
});
