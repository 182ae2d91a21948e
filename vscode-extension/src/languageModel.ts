/** Answers the server where it asks for the editor's own language model; the consent to that is the editor's business. */

import * as vscode from "vscode";
import { ErrorCodes, type LanguageClient, LSPErrorCodes, ResponseError } from "vscode-languageclient/node";
import type { Part } from "./common/connection";
import { EditorModel, Unanswered } from "./common/editorModel";
import type { LanguageModelParams, LanguageModelResult } from "./common/messages";

/** After this one the server asks no more in the same run; `RequestFailed` is about one prompt only. */
const NO_MORE = ErrorCodes.InternalError;

export class LanguageModel implements Part {
  readonly #model: EditorModel | undefined;

  constructor(access: vscode.LanguageModelAccessInformation) {
    this.#model = hasModels()
      ? new EditorModel({
          lm: vscode.lm,
          messages: vscode.LanguageModelChatMessage,
          canAsk: (model) => access.canSendRequest(model),
        })
      : undefined;
  }

  options(): Readonly<Record<string, unknown>> {
    return this.#model === undefined ? {} : { languageModel: true };
  }

  attach(client: LanguageClient): vscode.Disposable {
    return client.onRequest("osmosis/languageModel", async (params: LanguageModelParams, token: vscode.CancellationToken) => {
      try {
        return await this.answer(params, token);
      } catch (error) {
        if (error instanceof Unanswered) {
          return new ResponseError(error.isOfThisPrompt ? LSPErrorCodes.RequestFailed : NO_MORE, error.message);
        }
        throw error;
      }
    });
  }

  /** @throws Unanswered */
  async answer(params: LanguageModelParams, token: vscode.CancellationToken): Promise<LanguageModelResult> {
    if (this.#model === undefined) {
      throw new Unanswered("This editor has no language models. Choose another provider.", false);
    }
    return await this.#model.answer(params, token);
  }
}

/** Editors that are not VS Code itself may lack this part of its interface. */
function hasModels(): boolean {
  const { lm } = vscode as { lm?: { selectChatModels?: unknown } };
  return typeof lm?.selectChatModels === "function";
}
