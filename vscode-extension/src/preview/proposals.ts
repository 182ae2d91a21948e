/** Proposed texts as they wait for the user's word: how they are arranged, and what is said of them. */

import type { ProposeParams, Proposed, SlotText, Target } from "../common/messages";
import { dollars } from "../common/wording";

/** One description, not applied yet. */
export interface Text {
  readonly kind: "text";
  /** Of its place. */
  readonly key: string;
  readonly proposed: Proposed;
  /** What would be put in place: as proposed, or as the user has made it. */
  readonly text: string;
  readonly isChecked: boolean;
}

export interface Model {
  readonly kind: "model";
  readonly key: string;
  readonly label: string;
  readonly texts: readonly Text[];
}

export interface File {
  readonly kind: "file";
  readonly key: string;
  readonly uri: string;
  readonly models: readonly Model[];
}

export type Branch = File | Model | Text;

/** The commands that may describe several places at once, and what a target means to each. */
export const SCOPES = {
  "osmosis.generateModel": "model",
  "osmosis.generateFile": "file",
  "osmosis.generateProject": "project",
} as const satisfies Record<string, ProposeParams["scope"]>;

/** What is to be proposed for a command; undefined where that cannot be said of it. */
export function paramsOf(command: string, target: Target | undefined): ProposeParams | undefined {
  if (!Object.hasOwn(SCOPES, command) || target === undefined || (target.only ?? []).length > 0) {
    return undefined;
  }
  const { uri, node = null, column = null } = target;
  return { uri, node, column, scope: SCOPES[command as keyof typeof SCOPES] };
}

/** A proposal as it comes. */
export function textOf(proposed: Proposed): Text {
  const key = JSON.stringify([proposed.uri, proposed.node, proposed.column]);
  return { kind: "text", key, proposed, text: proposed.new, isChecked: true };
}

/** File by file, model by model, in the order in which they came. */
export function arrange(texts: Iterable<Text>): File[] {
  const files = new Map<string, Map<string, Text[]>>();
  for (const text of texts) {
    const { uri, node } = text.proposed;
    const models = files.get(uri) ?? new Map<string, Text[]>();
    files.set(uri, models.set(node, [...(models.get(node) ?? []), text]));
  }
  return [...files].map(([uri, models]) => ({
    kind: "file",
    key: uri,
    uri,
    models: [...models].map(([node, some]) => ({
      kind: "model",
      key: JSON.stringify([uri, node]),
      label: modelLabel(some),
      texts: some,
    })),
  }));
}

function modelLabel([first]: readonly Text[]): string {
  const { label = "", column = null } = first?.proposed ?? {};
  return column === null ? label : label.slice(0, -column.length - 1);
}

/** All texts of a branch. */
export function textsOf(branch: Branch): readonly Text[] {
  switch (branch.kind) {
    case "text":
      return [branch];
    case "model":
      return branch.texts;
    case "file":
      return branch.models.flatMap(({ texts }) => texts);
  }
}

/** What the server is to put in place. */
export function slotText({ proposed: { uri, node, column }, text }: Text): SlotText {
  return { uri, node, column, text };
}

/** The name of a text's place within its model. */
export function placeOf({ proposed }: Text): string {
  return proposed.column ?? "(description)";
}

/** Whence a text comes, and what it has cost. */
export function originOf({ proposed: { origin, source, cost, new: asProposed }, text }: Text): string {
  const price = origin !== "generated" ? "free" : cost === null ? "price unknown" : dollars(cost);
  const words = {
    inherited: `inherited from ${source}`,
    cached: `cached, ${source}`,
    stated: "stated from the project",
    generated: `generated, ${source}`,
  }[origin];
  return `${words}, ${price}${text === asProposed ? "" : ", edited by you"}`;
}

/** On one line, without what an editor's line would not show. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029\s]+/gu, " ").trim();
}

/** The line of a text: the new one, the old one where there is one, origin and cost. */
export function lineOf(text: Text): string {
  const { old } = text.proposed;
  const before = old === null || old.trim() === "" ? "" : `${oneLine(old)} → `;
  return `${before}${oneLine(text.text)} · ${originOf(text)}`;
}

/** The same at length, as plain text. */
export function detailsOf(text: Text): string {
  const { old, label } = text.proposed;
  const before = old === null || old.trim() === "" ? "nothing" : old;
  return `${label}\n\nNew: ${text.text}\n\nOld: ${before}\n\n${originOf(text)}`;
}
