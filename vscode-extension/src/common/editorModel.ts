/** Has a language model of the editor answer a prompt. */

import type * as vscode from "vscode";
import type { ChatMessage, LanguageModelParams, LanguageModelResult } from "./messages";

/** What of the editor is needed here. */
export interface Editor {
  readonly lm: Pick<typeof vscode.lm, "selectChatModels">;
  readonly messages: Pick<typeof vscode.LanguageModelChatMessage, "User" | "Assistant">;
  /** Whether the user has let us ask a model; undefined while nobody has asked them. */
  canAsk(model: vscode.LanguageModelChat): boolean | undefined;
}

/** There is no answer; the message is for the user. */
export class Unanswered extends Error {
  constructor(
    message: string,
    /** Whether another prompt may fare better. */
    readonly isOfThisPrompt: boolean,
  ) {
    super(message);
  }
}

/** What the editor says where another prompt would meet the same, and what is to be done. */
const REMEDIES: Readonly<Record<string, string>> = {
  NoPermissions: "You have not allowed it. Run the command again to be asked anew, or choose another provider.",
  Blocked: "It takes no more requests, perhaps because a quota is used up. Wait, or choose another provider.",
  NotFound: "It is gone. Choose another model, or another provider.",
};

export class EditorModel {
  /** The call at which the user is asked for consent; others wait for it, so that there is one question. */
  #first: Promise<unknown> | undefined;

  constructor(private readonly editor: Editor) {}

  /** @throws Unanswered */
  async answer(params: LanguageModelParams, token: vscode.CancellationToken): Promise<LanguageModelResult> {
    const model = await this.#choose(params.model);
    while (this.#first !== undefined && this.editor.canAsk(model) === undefined) {
      await this.#first;
    }
    if (token.isCancellationRequested) {
      throw new Unanswered("The call was stopped.", true);
    }
    const call = this.#ask(model, params, token);
    if (this.editor.canAsk(model) !== undefined) {
      return await call;
    }
    this.#first = call
      .catch(() => undefined) // whoever made this call hears of it
      .finally(() => (this.#first = undefined));
    return await call;
  }

  async #choose(name: string | null): Promise<vscode.LanguageModelChat> {
    const all = await this.editor.lm.selectChatModels({});
    const found = name === null ? all[0] : all.find(({ id, family, name: shown }) => [id, family, shown].includes(name));
    if (found !== undefined) {
      return found;
    }
    throw new Unanswered(
      all.length === 0
        ? "There is no language model in this editor. Install an extension that brings one, or choose another provider."
        : `This editor has no language model ${String(name)}. There are: ${all.map(({ id }) => id).join(", ")}.`,
      false,
    );
  }

  async #ask(
    model: vscode.LanguageModelChat,
    { messages, maxTokens, temperature }: LanguageModelParams,
    token: vscode.CancellationToken,
  ): Promise<LanguageModelResult> {
    const modelOptions: Record<string, unknown> = {
      ...(maxTokens === null ? {} : { max_tokens: maxTokens }),
      ...(temperature === null ? {} : { temperature }),
    };
    const justification = "The descriptions that you asked for are to be written by this language model.";
    const prompt = messages.map((message) => this.#messageOf(message));
    let text = "";
    try {
      const response = await model.sendRequest(prompt, { justification, modelOptions }, token);
      for await (const part of response.text) {
        text += part;
      }
    } catch (error) {
      throw unanswered(error, model);
    }
    const [outputTokens, ...inputTokens] = await Promise.all([text, ...prompt].map((one) => count(model, one)));
    const input = inputTokens.reduce((sum, one) => (sum === null || one === null ? null : sum + one), 0);
    return { text, model: model.id, inputTokens: input, outputTokens: outputTokens ?? null };
  }

  /** The editor knows no messages of the system; the user's first one takes its place. */
  #messageOf({ role, content }: ChatMessage): vscode.LanguageModelChatMessage {
    return role === "assistant" ? this.editor.messages.Assistant(content) : this.editor.messages.User(content);
  }
}

function unanswered(error: unknown, model: vscode.LanguageModelChat): Unanswered {
  const { code, message } = error instanceof Error ? (error as Error & { code?: unknown }) : { code: "", message: String(error) };
  const remedy = REMEDIES[String(code)];
  return new Unanswered(`${model.name}: ${message}${remedy === undefined ? "" : ` ${remedy}`}`, remedy === undefined);
}

/** How many tokens a text has, where the model can say so: nothing depends on it but what is shown. */
async function count(model: vscode.LanguageModelChat, text: string | vscode.LanguageModelChatMessage): Promise<number | null> {
  try {
    return await model.countTokens(text);
  } catch {
    return null;
  }
}
