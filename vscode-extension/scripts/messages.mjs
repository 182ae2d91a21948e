/**
 * Writes src/common/messages.ts from what the server says of its messages, so that the two cannot drift apart.
 * With --check it only says whether the file is up to date.
 */

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { python } from "./python.mjs";

const FILE = path.resolve(import.meta.dirname, "../src/common/messages.ts");

/** The type that a JSON schema describes, in TypeScript. */
function typeOf(schema) {
  if (schema.$ref !== undefined) {
    return schema.$ref.split("/").at(-1);
  }
  if (schema.enum !== undefined) {
    return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  }
  if (schema.anyOf !== undefined) {
    return schema.anyOf.map(typeOf).join(" | ");
  }
  if (Array.isArray(schema.type)) {
    return schema.type.map((type) => typeOf({ ...schema, type })).join(" | ");
  }
  switch (schema.type) {
    case "integer":
    case "number":
      return "number";
    case "array": {
      const inner = typeOf(schema.items);
      return `readonly ${inner.includes(" ") ? `(${inner})` : inner}[]`;
    }
    case "object":
      return "Readonly<Record<string, unknown>>";
    default:
      return schema.type; // string, boolean, null
  }
}

/** The names of the objects that a schema leads to. */
function reached(schema, definitions, found = new Set()) {
  for (const [, name] of JSON.stringify(schema).matchAll(/"#\/\$defs\/(\w+)"/g)) {
    if (!found.has(name)) {
      found.add(name);
      reached(definitions[name], definitions, found);
    }
  }
  return found;
}

function interfaceOf(name, schema, isAnswer) {
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties).map(
    ([field, type]) => `  readonly ${field}${isAnswer || required.has(field) ? "" : "?"}: ${typeOf(type)};\n`,
  );
  const summary = (schema.description ?? "").split("\n\n")[0].replaceAll(/\s+/g, " ").replaceAll("``", "`");
  return `/** ${summary.replaceAll(/:class:`(\w+)`/g, "{@link $1}")} */\nexport interface ${name} {\n${fields.join("")}}\n`;
}

function signatures(name, comment, entries) {
  const lines = Object.entries(entries).map(
    ([method, { argument, result }]) =>
      `  readonly ${JSON.stringify(method)}: { readonly argument: ${typeOf(argument)}; readonly result: ${typeOf(result)} };\n`,
  );
  return `/** ${comment} */\nexport interface ${name} {\n${lines.join("")}}\n`;
}

function source(described) {
  const { $defs: definitions, commands, requests, protocolVersion } = described;
  // What the server sends is complete; what it gets may leave out whatever has a default.
  const answers = new Set();
  for (const { result } of [...Object.values(commands), ...Object.values(requests)]) {
    reached(result, definitions, answers);
  }
  return [
    "/** What the server adds to the protocol: `server/PROTOCOL.md`. Written by `npm run messages`; a test holds it to the server. */\n",
    `/** The version of these messages. A server that speaks another one is not used. */\nexport const PROTOCOL_VERSION = ${protocolVersion};\n`,
    signatures("Commands", "The server's commands; each takes at most one argument.", commands),
    signatures("Requests", "Its own requests: `osmosis/languageModel` goes to the client, the others to the server.", requests),
    ...Object.entries(definitions)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, schema]) => interfaceOf(name, schema, answers.has(name))),
  ].join("\n");
}

const described = execFileSync(python, ["-m", "osmosis_synthesize.lsp.messages"], { encoding: "utf8" });
const written = source(JSON.parse(described));
if (!process.argv.includes("--check")) {
  writeFileSync(FILE, written);
} else if (readFileSync(FILE, "utf8") !== written) {
  console.error("src/common/messages.ts is not what the server says of its messages. Run: npm run messages");
  process.exitCode = 1;
}
