/** Choosing a provider and its model. */

import * as vscode from "vscode";
import type { Connection } from "./connection";
import type { Model } from "./messages";
import { SECTION } from "./settings";

interface Item extends vscode.QuickPickItem {
  readonly model?: Model;
}

const SET_KEY = "Set a Key…";

/** Have the user choose among the models that the server knows, and keep the choice in the settings. */
export async function chooseModel(connection: Connection): Promise<void> {
  const models = await connection.execute("osmosis.models", null);
  const chosen = await vscode.window.showQuickPick(itemsOf(models), {
    title: "Choose Provider and Model",
    placeHolder: "Who is asked for descriptions? Prices are in US dollars per million tokens.",
    matchOnDescription: true,
  });
  if (chosen?.model !== undefined) {
    await keep(chosen.model);
    if (!chosen.model.ready && chosen.model.problem !== null) {
      await offerKey(chosen.model, chosen.model.problem);
    }
  }
}

function itemsOf(models: readonly Model[]): Item[] {
  const items: Item[] = [];
  let provider: string | undefined;
  for (const model of models) {
    if (model.provider !== provider) {
      provider = model.provider;
      items.push({ label: provider, kind: vscode.QuickPickItemKind.Separator });
    }
    const name = model.model === "" ? "the provider's own choice" : model.model;
    items.push({
      label: model.ready ? name : `$(circle-slash) ${name}`,
      description: [model.provider, priceOf(model)].filter((text) => text !== "").join(" · "),
      ...(model.problem === null ? {} : { detail: model.problem }),
      model,
    });
  }
  return items;
}

function priceOf({ inputPrice, outputPrice }: Model): string {
  if (inputPrice === null || outputPrice === null) {
    return "";
  }
  return Number(inputPrice) === 0 && Number(outputPrice) === 0 ? "free" : `$${inputPrice} in, $${outputPrice} out`;
}

/** Where the workspace has a choice of its own, that is what is changed; otherwise the user's. */
async function keep(model: Model): Promise<void> {
  const settings = vscode.workspace.getConfiguration(SECTION);
  const target =
    settings.inspect("provider")?.workspaceValue === undefined
      ? vscode.ConfigurationTarget.Global
      : vscode.ConfigurationTarget.Workspace;
  await settings.update("model", model.model === "" ? undefined : model.model, target);
  await settings.update("provider", model.provider, target);
}

async function offerKey(model: Model, problem: string): Promise<void> {
  if ((await vscode.window.showWarningMessage(problem, SET_KEY)) === SET_KEY) {
    await vscode.commands.executeCommand("osmosis.setKey", model.provider);
  }
}
