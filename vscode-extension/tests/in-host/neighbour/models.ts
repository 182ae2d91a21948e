/** Brings a language model to the editor, as extensions of model providers do. */

import * as vscode from "vscode";

/** What of the editor's interface is not in its stable types of 1.100: how a model is registered, until 1.103 and after. */
interface Registering {
  registerChatModelProvider?(id: string, provider: object, metadata: object): vscode.Disposable;
  registerLanguageModelChatProvider?(vendor: string, provider: object): vscode.Disposable;
}

interface Progress {
  report(part: unknown): void;
}

export interface Models {
  /** Who has asked, in which order; the newer interface does not tell. */
  readonly askedBy: (string | undefined)[];
  /** They are gone, and whoever asks for one hears that there is none. */
  takeAway(): void;
}

/** One for everybody, and one of which the editor asks its user first who may have it. */
const OPEN = { id: "open-model", name: "Open Model", vendor: "tests", family: "open", version: "1" };
const GUARDED = { id: "guarded-model", name: "Guarded Model", vendor: "tests", family: "guarded", version: "1" };
const LIMITS = { maxInputTokens: 100_000, maxOutputTokens: 10_000 };

export function models(): Models {
  const lm = vscode.lm as unknown as Registering;
  const askedBy: (string | undefined)[] = [];
  const answer = (messages: readonly vscode.LanguageModelChatMessage[], who?: string): vscode.LanguageModelTextPart => {
    askedBy.push(who);
    return new vscode.LanguageModelTextPart(JSON.stringify(fill(schemaOf(messages), "")));
  };
  const provideTokenCount = () => Promise.resolve(10);
  const registered =
    lm.registerChatModelProvider === undefined
      ? [
          lm.registerLanguageModelChatProvider?.(OPEN.vendor, {
            provideLanguageModelChatInformation: () => [{ ...OPEN, ...LIMITS, capabilities: {} }],
            provideLanguageModelChatResponse: (
              _model: object,
              messages: readonly vscode.LanguageModelChatMessage[],
              _options: object,
              progress: Progress,
            ): Promise<void> => {
              progress.report(answer(messages));
              return Promise.resolve();
            },
            provideTokenCount,
          }),
        ]
      : [{ ...OPEN, ...LIMITS }, { ...GUARDED, ...LIMITS, auth: { label: "Tests" } }].map((metadata) =>
          lm.registerChatModelProvider?.(
            metadata.id,
            {
              provideLanguageModelResponse: (
                messages: readonly vscode.LanguageModelChatMessage[],
                _options: object,
                who: string,
                progress: Progress,
              ): Promise<void> => {
                progress.report({ index: 0, part: answer(messages, who) });
                return Promise.resolve();
              },
              provideTokenCount,
            },
            metadata,
          ),
        );
  return {
    askedBy,
    takeAway: () => {
      for (const one of registered) {
        one?.dispose();
      }
    },
  };
}

interface Schema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
}

/** The schema that a prompt has in words, at its end. */
function schemaOf(messages: readonly vscode.LanguageModelChatMessage[]): Schema {
  const parts = messages.at(-1)?.content ?? [];
  const text = parts.map((part) => (part instanceof vscode.LanguageModelTextPart ? part.value : "")).join("");
  return JSON.parse(text.slice(text.lastIndexOf("JSON schema: ") + "JSON schema: ".length)) as Schema;
}

/** A value that follows a schema, with a description for each name that it asks for. */
function fill(schema: Schema, name: string): unknown {
  if (schema.enum !== undefined) {
    return schema.enum[0];
  }
  if (schema.type === "object") {
    return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([key, inner]) => [key, fill(inner, name)]));
  }
  if (schema.type === "array") {
    const items = schema.items ?? {};
    const names = items.properties?.["name"]?.enum ?? [""];
    return names.map((one) => ({ ...(fill(items, one) as object), ...(one === "" ? {} : { name: one }) }));
  }
  return `The editor's own words on ${name === "" ? "the table" : name.replaceAll("_", " ")}.`;
}
