/** The view in which several descriptions are looked at before they are put in place. */

import * as vscode from "vscode";
import type { Middleware } from "vscode-languageclient/node";
import type { Connection } from "../common/connection";
import type { Applied, Left, Proposals, ProposeParams, Target } from "../common/messages";
import { SECTION } from "../common/settings";
import { arrange, paramsOf, slotText, type Branch, type Text, textOf, textsOf } from "./proposals";
import { Tree } from "./tree";

const VIEW = "osmosis.proposals";

type Execute = NonNullable<Middleware["executeCommand"]>;

/** What is said of a run whose texts are in place. */
export interface Done extends Applied {
  readonly cancelled: boolean;
}

export class Preview implements vscode.Disposable {
  readonly #texts = new Map<string, Text>();
  readonly #tree = new Tree();
  readonly #view = vscode.window.createTreeView(VIEW, {
    treeDataProvider: this.#tree,
    showCollapseAll: true,
    manageCheckboxStateManually: true,
  });
  readonly #listening: vscode.Disposable;
  /** The view itself forgets it for as long as it is drawn anew. */
  #selected: Branch | undefined;

  constructor(private readonly connection: () => Connection | undefined) {
    this.#listening = vscode.Disposable.from(
      this.#view,
      this.#tree,
      this.#view.onDidChangeSelection(({ selection }) => (this.#selected = selection[0] ?? this.#selected)),
      this.#view.onDidChangeCheckboxState(({ items }) => {
        for (const [branch, state] of items) {
          this.check(branch, state === vscode.TreeItemCheckboxState.Checked);
        }
      }),
      ...Object.entries(this.#commands()).map(([name, command]) =>
        vscode.commands.registerCommand(`${VIEW}.${name}`, command),
      ),
    );
  }

  #commands(): Readonly<Record<string, (branch?: Branch) => unknown>> {
    return {
      acceptAll: () => this.#accept(this.texts),
      acceptChecked: () => this.#accept(this.texts.filter(({ isChecked }) => isChecked)),
      toggle: (branch) => {
        this.#toggle(branch);
      },
      regenerate: (branch) => this.#withText(branch, (text) => this.#regenerate(text)),
      edit: (branch) => this.#withText(branch, (text) => this.#edit(text)),
      open: (branch) => this.#withText(branch, openPlace),
      discard: (branch) => this.#discard(this.#chosen(branch)),
      discardAll: () => this.#discard(this.texts),
    };
  }

  /** What waits for the user's word. */
  get texts(): readonly Text[] {
    return [...this.#texts.values()];
  }

  /** Carries out commands, those that describe several places by way of the preview, as the setting says. */
  before(others: Execute): Execute {
    return async (command, given: unknown[], next): Promise<unknown> =>
      await others(command, given, async (name, found: unknown[]): Promise<unknown> => {
        const params = paramsOf(name, found[0] as Target | undefined);
        const connection = this.connection();
        return params === undefined || connection === undefined ? await next(name, found) : await this.run(connection, params);
      });
  }

  /** Find texts, and show them or put them in place; what is given back is undefined where they are shown. */
  async run(connection: Connection, params: ProposeParams): Promise<Done | undefined> {
    const found = await propose(connection, params);
    if (found.items.length === 0 || !isShown(found.items.length)) {
      const applied = await apply(connection, found.items.map(textOf));
      return tell({ filled: applied.filled, left: [...found.left, ...applied.left], cancelled: found.cancelled });
    }
    for (const text of found.items.map(textOf)) {
      this.#texts.delete(text.key); // its place in the order is that of the latest run
      this.#texts.set(text.key, text);
    }
    tell({ filled: found.items.length, left: found.left, cancelled: found.cancelled });
    await this.#show(found.items[0] && textOf(found.items[0]).key);
    return undefined;
  }

  /** Check or uncheck all texts of a branch. */
  check(branch: Branch, isChecked: boolean): void {
    for (const { key } of textsOf(branch)) {
      this.#replace(key, { isChecked });
    }
    void this.#show();
  }

  #toggle(branch: Branch | undefined): void {
    const texts = this.#chosen(branch).map(({ key }) => this.#texts.get(key));
    const isChecked = !texts.every((text) => text?.isChecked);
    for (const text of texts) {
      if (text !== undefined) {
        this.check(text, isChecked);
      }
    }
  }

  /** What a command is about: the branch it was called on, else the chosen one. */
  #chosen(branch: Branch | undefined): readonly Text[] {
    const found = branch ?? this.#selected;
    return found === undefined ? [] : textsOf(found).filter(({ key }) => this.#texts.has(key));
  }

  async #withText(branch: Branch | undefined, act: (text: Text) => Promise<void>): Promise<void> {
    const [text, ...others] = this.#chosen(branch);
    if (text === undefined || others.length > 0) {
      void vscode.window.showInformationMessage("Choose one description among those that are proposed.");
      return;
    }
    await act(this.#texts.get(text.key) ?? text);
  }

  #replace(key: string, changed: Partial<Text>): void {
    const text = this.#texts.get(key);
    if (text !== undefined) {
      this.#texts.set(key, { ...text, ...changed });
    }
  }

  async #accept(texts: readonly Text[]): Promise<Applied | undefined> {
    if (texts.length === 0) {
      void vscode.window.showInformationMessage("None of the proposed descriptions is checked.");
      return undefined;
    }
    const applied = await apply(this.#connected(), texts);
    const left = new Set(applied.left.map(({ node, column }) => JSON.stringify([node, column])));
    await this.#discard(texts.filter(({ proposed: { node, column } }) => !left.has(JSON.stringify([node, column]))));
    tell({ ...applied, cancelled: false });
    return applied;
  }

  async #regenerate({ key, proposed: { uri, node, column } }: Text): Promise<void> {
    const found = await propose(this.#connected(), { uri, node, column, scope: "column", again: true });
    const [proposed] = found.items;
    tell({ filled: found.items.length, left: found.left, cancelled: found.cancelled });
    if (proposed !== undefined) {
      this.#replace(key, { proposed, text: proposed.new });
      await this.#show();
    }
  }

  async #edit({ key, proposed, text }: Text): Promise<void> {
    const edited = await vscode.window.showInputBox({
      title: `Description of ${proposed.label}`,
      value: text.replaceAll(/\s*\n\s*/g, " "),
      prompt: "It is put in place when you accept it.",
      ignoreFocusOut: true,
      validateInput: (value) => (value.trim() === "" ? "A description is not empty." : undefined),
    });
    if (edited !== undefined) {
      this.#replace(key, { text: edited.trim() });
      await this.#show();
    }
  }

  async #discard(texts: readonly Text[]): Promise<void> {
    for (const { key } of texts) {
      this.#texts.delete(key);
    }
    await this.#show();
  }

  /** Show what there is now, and lead to one of the texts. */
  async #show(key?: string): Promise<void> {
    const waiting = this.#texts.size;
    const checked = this.texts.filter(({ isChecked }) => isChecked).length;
    this.#view.message = waiting === 0 ? "" : `${String(checked)} of ${String(waiting)} are checked. Nothing is changed yet.`;
    this.#view.badge = waiting === 0 ? undefined : { value: waiting, tooltip: `${String(waiting)} proposed descriptions` };
    await vscode.commands.executeCommand("setContext", VIEW, waiting > 0);
    this.#tree.put(arrange(this.texts));
    const branch = key === undefined ? undefined : this.#tree.find(key);
    if (branch !== undefined) {
      await this.#view.reveal(branch, { focus: true, select: true });
    }
  }

  #connected(): Connection {
    const connection = this.connection();
    if (connection === undefined) {
      throw new Error("The language server does not run. Restart it, then accept again: nothing is lost.");
    }
    return connection;
  }

  dispose(): void {
    this.#listening.dispose();
  }
}

/** Whether so many texts are shown before they are put in place. */
function isShown(number: number): boolean {
  const when = vscode.workspace.getConfiguration(SECTION).get<string>("preview");
  return when === "always" || (when !== "never" && number > 1);
}

/** What is found until the user stops it, with a button for that. */
async function propose(connection: Connection, params: ProposeParams): Promise<Proposals> {
  const options = { location: vscode.ProgressLocation.Notification, title: "Looking for descriptions", cancellable: true };
  return await vscode.window.withProgress(options, async (_, token) => {
    // A request that is cancelled has no result. A run that is stopped has what was found by then.
    const stopping = token.onCancellationRequested(() => void connection.execute("osmosis.cancelAll", null));
    try {
      return await connection.execute("osmosis.propose", params);
    } finally {
      stopping.dispose();
    }
  });
}

async function apply(connection: Connection, texts: readonly Text[]): Promise<Applied> {
  return texts.length === 0 ? { filled: 0, left: [] } : await connection.execute("osmosis.applyTexts", { texts: texts.map(slotText) });
}

/** Say what is left, and why. */
function tell(done: Done): Done {
  const [first] = done.left;
  if (first !== undefined && !done.cancelled) {
    void vscode.window.showWarningMessage(`${leftName(first, done.left.length)}: ${first.reason}`);
  }
  return done;
}

function leftName({ label }: Left, number: number): string {
  return number === 1 ? `${label} is left` : `${label} and ${String(number - 1)} more are left`;
}

/** Show where a text would stand; a file that is still to be made has no such place. */
async function openPlace({ proposed: { uri, line, label } }: Text): Promise<void> {
  const place = vscode.Uri.parse(uri);
  try {
    const selection = new vscode.Range(line, 0, line, 0);
    await vscode.window.showTextDocument(place, { selection, preserveFocus: false, preview: true });
  } catch {
    void vscode.window.showInformationMessage(`${label} gets its entry in a file that is made when you accept.`);
  }
}
