/** The ways a user meets the extension, in the workbench itself. */

import { EDITOR } from "./install";
import { session } from "./shared";
import { Workbench } from "./workbench";

const MARTS = "models/marts/_marts.yml";

let workbench: Workbench;

/** What was on the page where a test has failed; the next test starts on a new one. */
async function lookAtFailure(this: Mocha.Context): Promise<void> {
  if (await workbench.lookAtFailure(this.currentTest)) {
    await workbench.close();
    workbench = await Workbench.open(session(), MARTS);
  }
}

describe("in the workbench", function () {
  this.timeout(600_000);

  before(async () => {
    workbench = await Workbench.open(session(), MARTS);
    await workbench.lens(/gaps: /).waitFor();
  });
  afterEach(lookAtFailure);
  after(async () => {
    await workbench.close();
  });

  it("a line over each model tells how many gaps it has and what they take", async () => {
    await workbench.lens(/^\d+ gaps: .*\$/).waitFor();
    await workbench.picture("code-lens", { x: 0, y: 66, width: 860, height: 220 });
  });

  it("hovering tells what a column is made of and what a description would cost", async () => {
    await workbench.moveTo(MARTS, "- name: duration_min");
    await workbench.press("Control+K");
    await workbench.press("Control+I");
    const hover = workbench.page.locator(".monaco-hover:not(.hidden)", { hasText: "tokens in" });
    await hover.first().waitFor();
    await workbench.picture("hover", { x: 0, y: 260, width: 860, height: 260 });
  });

  it("the light bulb offers a description with its cost, and puts it in place", async () => {
    await workbench.moveTo(MARTS, "- name: duration_min");
    await workbench.press("Control+.");
    const row = workbench.page.locator(".action-widget .monaco-list-row.action", { hasText: /^Generate description for `duration_minutes`, at most about \$0\.000\d+$/ });
    await row.waitFor();
    await workbench.picture("light-bulb", { x: 0, y: 280, width: 860, height: 440 });
    await workbench.choose(row);
    await workbench.line("Minutes from unlocking the bike").waitFor();
    await workbench.saved(MARTS, /- name: duration_minutes\n +description: "?Minutes from unlocking the bike/);
    await workbench.statusBar.getByText(/\$0\.0\S* · \$\d+\.\d+ today/).waitFor();
  });

  it("ghost text comes by itself where it is free, and from the provider when it is asked for", async () => {
    const ghost = workbench.page.locator(".ghost-text-decoration, .ghost-text-decoration-preview, .ghost-text");
    await workbench.moveTo(MARTS, "- name: ended_at");
    await workbench.press("Enter");
    await workbench.type("  description: ");
    await ghost.first().waitFor();
    await workbench.press("Tab");
    await workbench.saved(MARTS, /- name: ended_at\n +description: \S+/);

    await workbench.moveTo(MARTS, "- name: is_round_trip");
    await workbench.press("Enter");
    await workbench.type("  description: ");
    await workbench.command("Trigger Inline Suggestion");
    const paid = ghost.filter({ hasText: "brought back" }).first();
    await paid.waitFor();
    await workbench.picture("ghost-text", { x: 0, y: 340, width: 860, height: 220 });
    await workbench.press("Tab");
    await workbench.saved(MARTS, /- name: is_round_trip\n +description: "?Whether the bike was brought back/);
  });

  it("a description is written anew by a command, and shown before it takes the place of the old one", async () => {
    await workbench.moveTo(MARTS, "- name: started_at");
    await workbench.command("osmosis: Rewrite the Description at the Cursor");
    const panel = workbench.page.locator(".part.panel");
    const change = panel.locator(".monaco-list-row", { hasText: "What is known of started at." });
    await change.locator('input, [role="checkbox"]').press("Space");
    await panel.locator(".monaco-button", { hasText: /^Apply$/ }).press("Enter");
    await workbench.page.locator(".editor-instance .view-line", { hasText: "What is known of started at." }).waitFor();
    await workbench.saved(MARTS, /- name: started_at\n +description: "?What is known of started at\./);
  });

  it("the language's status tells how old the manifest is and who is asked, and leads to another choice", async () => {
    const status = workbench.page.locator("#status\\.languageStatus");
    const details = workbench.page.locator(".hover-language-status", { hasText: "openai-compatible demo-model" });
    await status.hover();
    await details.waitFor();
    await workbench.page.locator(".hover-language-status", { hasText: /Manifest|just written|old/ }).first().waitFor();
    await workbench.press("Escape");
    await workbench.page.mouse.move(20, 400); // away from what comes up next
    await workbench.command("osmosis: Choose Provider and Model");
    await workbench.pick("demo-model").waitFor();
    await workbench.page.locator(".quick-input-widget input").fill("facts");
    await workbench.choose(workbench.pick("facts"));
    await status.hover();
    await workbench.page.locator(".hover-language-status", { hasText: "facts" }).waitFor();
    session().resetMachineSettings();
    await details.waitFor();
    await workbench.page.mouse.move(20, 400); // away from what comes up next
  });

  it("the log is shown", async () => {
    await workbench.command("osmosis: Show Log");
    // What it says cannot be seen here: the editor's own logger, which writes it, is a native part that is not installed.
    await workbench.page.locator(".part.panel .composite.title", { hasText: "osmosis-synthesize" }).waitFor();
    await workbench.page.locator(".part.panel .monaco-editor.focused").waitFor();
    await workbench.command("View: Hide Panel");
  });

  it("the menu of the status bar pauses generation", async () => {
    await workbench.command("osmosis: Show Menu");
    const row = workbench.pick("Pause Generation");
    await row.waitFor();
    await workbench.picture("menu", { x: 330, y: 26, width: 620, height: 320 });
    await workbench.choose(row);
    await workbench.statusBar.locator(".codicon-debug-pause").waitFor();
  });

  it("a key is set and removed from the palette", async () => {
    await workbench.command("osmosis: Set a Key");
    await workbench.choose(workbench.pick("openrouter"));
    const input = workbench.page.locator('.quick-input-widget input[type="password"]');
    await input.fill("or-test-0123456789");
    await workbench.press("Enter");
    await input.waitFor({ state: "hidden" });
    await workbench.command("osmosis: Remove a Key");
    await workbench.choose(workbench.pick("OPENROUTER_API_KEY"));
    await workbench.statusBar.getByText(/today/).waitFor();
  });

  // The last one: this page takes the focus when it likes, and lists that are open close then.
  it("the first steps are shown, with their pictures", async () => {
    await workbench.command("osmosis: Show First Steps");
    await workbench.page.getByText("First steps with osmosis-synthesize").first().waitFor();
    await workbench.page.getByText("Have the language server run").first().waitFor();
    const picture = workbench.page.locator(".getting-started-media img").first();
    await picture.waitFor();
    await workbench.page.waitForFunction((image) => (image as unknown as { naturalWidth: number }).naturalWidth > 0, await picture.elementHandle());
    await workbench.snapshot("walkthrough");
  });
});

describe("where there is no server", function () {
  this.timeout(600_000);
  afterEach(lookAtFailure);
  after(async () => {
    await workbench.close();
  });

  it("the extension asks, makes its own environment from the wheel it carries, and runs the server from there", async () => {
    workbench = await Workbench.show(session(), MARTS, session().workspace({ "osmosis.interpreter": "" }));
    const question = workbench.message("needs its language server");
    await question.waitFor();
    await workbench.statusBar.locator(".codicon-error").waitFor();
    await question.getByRole("button", { name: "Install" }).press("Enter");
    await workbench.message("Installing the osmosis language server").waitFor();
    await workbench.statusBar.getByText(/today/).waitFor({ timeout: 300_000 });
    await workbench.lens(/gaps: /).waitFor();
  });
});

describe("with a language model of the editor", function () {
  this.timeout(600_000);
  afterEach(lookAtFailure);
  after(async () => {
    await workbench.close();
  });

  it("the editor asks its user who may have the model, and once that is allowed the model describes", async function () {
    if (!EDITOR.startsWith("4.100.")) {
      this.skip(); // later editors let nobody but their own extensions say that a model is guarded
    }
    const workspace = session().workspace({ "osmosis.provider": "editor", "osmosis.model": "guarded" });
    workbench = await Workbench.beside("neighbour", session(), MARTS, workspace);
    await workbench.statusBar.getByText(/today/).waitFor();
    await workbench.lens(/gaps: /).waitFor();
    await workbench.moveTo(MARTS, "- name: duration_min");
    await workbench.press("Control+.");
    await workbench.choose(workbench.page.locator(".action-widget .monaco-list-row.action", { hasText: "Generate description for `duration_minutes`" }));
    const consent = workbench.page.locator(".monaco-dialog-box", { hasText: /osmosis-synthesize.* wants to access the language models/ });
    await consent.waitFor();
    await workbench.snapshot("consent");
    await consent.locator(".monaco-button", { hasText: /^Allow$/ }).press("Enter");
    await workbench.line("The editor's own words on duration minutes.").waitFor();
  });
});
