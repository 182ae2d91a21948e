/** Proposed texts: how they are arranged, and what is said of them. */

import assert from "node:assert/strict";
import type { Proposed } from "../../src/common/messages";
import { arrange, detailsOf, lineOf, originOf, paramsOf, placeOf, slotText, type Text, textOf, textsOf } from "../../src/preview/proposals";

const ONE: Proposed = {
  uri: "file:///shop/models/_shop.yml",
  node: "model.shop.orders",
  column: "amount.net",
  label: "orders.amount.net",
  line: 5,
  old: null,
  new: "What the customer pays,\nwithout taxes.",
  origin: "generated",
  source: "openai gpt",
  cost: "0.0004",
};
const OWN: Proposed = { ...ONE, column: null, label: "orders", old: "TODO", new: "One row an order.", origin: "stated", source: "facts", cost: "0" };
const OTHER: Proposed = { ...ONE, uri: "file:///shop/models/_other.yml", node: "source.shop.raw.paid", column: "id", label: "raw.paid.id" };

describe("proposed texts", () => {
  it("are arranged by file and model, in their order, each with its name", () => {
    const files = arrange([ONE, OWN, OTHER].map(textOf));
    assert.deepEqual(
      files.map(({ uri, models }) => [uri, models.map(({ label, texts }) => [label, texts.map(placeOf)])]),
      [
        [ONE.uri, [["orders", ["amount.net", "(description)"]]]],
        [OTHER.uri, [["raw.paid", ["id"]]]],
      ],
    );
    assert.deepEqual(files.map((file) => textsOf(file).length), [2, 1]);
  });

  it("have keys that are not those of other places", () => {
    const all = [ONE, OWN, OTHER, { ...ONE, node: "model.shop.returns" }].map((one) => textOf(one).key);
    assert.equal(new Set(all).size, all.length);
  });

  it("show old and new text, origin and cost on one line", () => {
    assert.equal(lineOf(textOf(ONE)), "What the customer pays, without taxes. · generated, openai gpt, $0.0004");
    assert.equal(lineOf(textOf(OWN)), "TODO → One row an order. · stated from the project, free");
    assert.match(lineOf(textOf({ ...ONE, new: "a\u0007b\u2028c" })), /^a b c · /);
  });

  it("show all of it where there is room", () => {
    assert.equal(detailsOf(textOf(OWN)), "orders\n\nNew: One row an order.\n\nOld: TODO\n\nstated from the project, free");
  });

  it("say that the user has changed them, and that a price is unknown", () => {
    const edited: Text = { ...textOf({ ...ONE, cost: null }), text: "Mine." };
    assert.equal(originOf(edited), "generated, openai gpt, price unknown, edited by you");
    assert.deepEqual(slotText(edited), { uri: ONE.uri, node: ONE.node, column: ONE.column, text: "Mine." });
  });
});

describe("what is proposed", () => {
  it("is that of the commands which may describe several places", () => {
    const target = { uri: ONE.uri, node: ONE.node };
    assert.deepEqual(paramsOf("osmosis.generateModel", target), { uri: ONE.uri, node: ONE.node, column: null, scope: "model" });
    assert.equal(paramsOf("osmosis.generateProject", target)?.scope, "project");
  });

  it("is nothing for one description, for a choice of gaps, and for other commands", () => {
    const target = { uri: ONE.uri };
    assert.equal(paramsOf("osmosis.generateColumn", target), undefined);
    assert.equal(paramsOf("osmosis.generateFile", { ...target, only: [{ node: ONE.node }] }), undefined);
    assert.equal(paramsOf("osmosis.refresh", undefined), undefined);
    assert.equal(paramsOf("toString", target), undefined);
  });
});
