/** The editor's own language model, with an editor that has the interface that VS Code declares. */

import assert from "node:assert/strict";
import type * as vscode from "vscode";
import { type Editor, EditorModel, Unanswered } from "../../src/common/editorModel";
import type { LanguageModelParams } from "../../src/common/messages";

const PARAMS: LanguageModelParams = {
  messages: [
    { role: "system", content: "Be brief." },
    { role: "user", content: "Describe it." },
    { role: "assistant", content: "A table." },
  ],
  schema: null,
  maxTokens: null,
  temperature: null,
  model: null,
};

interface Asked {
  readonly messages: readonly unknown[];
  readonly options: vscode.LanguageModelChatRequestOptions | undefined;
  readonly token: vscode.CancellationToken | undefined;
}

/** One model that keeps what it was asked. */
class FakeModel {
  readonly asked: Asked[] = [];
  readonly name = "A Model";
  answer: () => Promise<readonly string[]> = () => Promise.resolve(["One row ", "a trip."]);

  constructor(
    readonly id: string,
    readonly family: string,
  ) {}

  async sendRequest(messages: readonly unknown[], options?: Asked["options"], token?: Asked["token"]): Promise<unknown> {
    this.asked.push({ messages, options, token });
    const parts = await this.answer();
    return { text: parts };
  }

  countTokens(text: unknown): Promise<number> {
    return Promise.resolve(typeof text === "string" ? 5 : 7);
  }
}

function editor(models: readonly FakeModel[], canAsk: () => boolean | undefined = () => true): Editor {
  const message = (role: string) => (content: unknown) => ({ role, content }) as unknown as vscode.LanguageModelChatMessage;
  return {
    lm: { selectChatModels: () => Promise.resolve(models as unknown as vscode.LanguageModelChat[]) },
    messages: { User: message("user"), Assistant: message("assistant") },
    canAsk,
  };
}

function token(isCancellationRequested = false): vscode.CancellationToken {
  return { isCancellationRequested } as vscode.CancellationToken;
}

function failure(code: string): Error {
  return Object.assign(new Error("It failed."), { code });
}

async function refused(what: Promise<unknown>): Promise<Unanswered> {
  const error: unknown = await what.then(
    () => assert.fail("It was answered."),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Unanswered, String(error));
  return error;
}

describe("the editor's language model", () => {
  it("answers, with its name and what the prompt and the answer measure", async () => {
    const model = new FakeModel("vendor/one", "one");
    const cancelling = token();
    const result = await new EditorModel(editor([model])).answer({ ...PARAMS, temperature: 0.5 }, cancelling);
    assert.deepEqual(result, { text: "One row a trip.", model: "vendor/one", inputTokens: 21, outputTokens: 5 });
    assert.deepEqual(model.asked[0]?.messages, [
      { role: "user", content: "Be brief." },
      { role: "user", content: "Describe it." },
      { role: "assistant", content: "A table." },
    ]);
    assert.deepEqual(model.asked[0].options?.modelOptions, { temperature: 0.5 });
    assert.match(model.asked[0].options.justification ?? "", /descriptions that you asked for/);
    assert.equal(model.asked[0].token, cancelling);
  });

  it("is the one that the settings name, by its identifier or its family", async () => {
    const [one, other] = [new FakeModel("vendor/one", "one"), new FakeModel("vendor/other", "other")];
    const asking = new EditorModel(editor([one, other]));
    for (const model of ["vendor/other", "other"]) {
      assert.equal((await asking.answer({ ...PARAMS, model }, token())).model, "vendor/other");
    }
    assert.equal(one.asked.length, 0);
  });

  it("says that there is none, or which ones there are", async () => {
    const none = await refused(new EditorModel(editor([])).answer(PARAMS, token()));
    assert.match(none.message, /no language model in this editor\. Install/);
    const wrong = await refused(new EditorModel(editor([new FakeModel("vendor/one", "one")])).answer({ ...PARAMS, model: "x" }, token()));
    assert.match(wrong.message, /no language model x\. There are: vendor\/one\./);
    assert.deepEqual([none.isOfThisPrompt, wrong.isOfThisPrompt], [false, false]);
  });

  it("that may not be asked, or not any more, ends the run, and what failed once does not", async () => {
    const model = new FakeModel("vendor/one", "one");
    const asking = new EditorModel(editor([model]));
    for (const [code, isOfThisPrompt] of [["NoPermissions", false], ["Blocked", false], ["NotFound", false], ["Unknown", true]] as const) {
      model.answer = () => Promise.reject(failure(code));
      const error = await refused(asking.answer(PARAMS, token()));
      assert.equal(error.isOfThisPrompt, isOfThisPrompt, code);
      assert.match(error.message, /^A Model: It failed\./);
    }
  });

  it("is not asked for what nobody waits for", async () => {
    const model = new FakeModel("vendor/one", "one");
    await refused(new EditorModel(editor([model])).answer(PARAMS, token(true)));
    assert.equal(model.asked.length, 0);
  });

  it("is asked once while the user has not said whether it may be", async () => {
    const model = new FakeModel("vendor/one", "one");
    let allowed: boolean | undefined;
    let allow: () => void = () => undefined;
    model.answer = () =>
      new Promise((resolve) => {
        allow = () => {
          allowed = true;
          resolve(["Yes."]);
        };
      });
    const asking = new EditorModel(editor([model], () => allowed));
    const first = asking.answer(PARAMS, token());
    const second = asking.answer(PARAMS, token());
    await new Promise(setImmediate);
    assert.equal(model.asked.length, 1);
    model.answer = () => Promise.resolve(["Yes."]);
    allow();
    assert.deepEqual((await Promise.all([first, second])).map(({ text }) => text), ["Yes.", "Yes."]);
    assert.equal(model.asked.length, 2);
  });
});
