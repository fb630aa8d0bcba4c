// Comparing texts, pins and notebooks in a real workbench in a real browser, and the comparison pages by themselves. Needs what
// test/e2e/run.mjs needs, and git. `node test/e2e/comparison.mjs`
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { chooseRow, eventually, hover, runCommand, waitForText, webviewFrame, wordAt } from "./editor.mjs"; // prettier-ignore
import { packExtension } from "./extension-package.mjs";
import { missingParts, outFolder, repoRoot, requireParts } from "./places.mjs";
import { newReport } from "./report.mjs";
import { startServer } from "./vscode-server.mjs";

requireParts("comparing texts in the browser", missingParts());
const gallery = spawnSync(process.execPath, ["test/e2e/comparison-gallery.mjs"], { cwd: repoRoot });
process.stdout.write(gallery.stdout);
process.stderr.write(gallery.stderr);

const server = await startServer({
  vsix: packExtension(),
  workspace: join(repoRoot, "demo"),
  settings: { "git.enabled": true, "git.autofetch": false },
});
const { browser, page } = await startBrowser();
const report = newReport("comparing texts in the browser", (path) => page.screenshot({ path }));
const { step } = report;
const shot = (name) => page.screenshot({ path: join(outFolder, `${name}.png`) });
const einstein = join(server.folder, "prompts/einstein.txt");
let frame;

commitAll(server.folder);
const cells = ["The ship sailed across the sea.", "The water was cold."];
writeFileSync(join(server.folder, "prompts/cells.ipynb"), notebook(cells));
const others = ["Rain fell on the town.", "Then the wind came."];
writeFileSync(join(server.folder, "other.ipynb"), notebook(others));

await step(
  "git HEAD beside what is typed: words of one text alone, latents that vanish",
  async () => {
    await page.goto(server.url([["openFile", server.remote(einstein)]]));
    await waitForText(page, "Einstein");
    await page.keyboard.press("Control+B");
    await hover(page, "Einstein", "L0");
    const { x, y } = await wordAt(page, "theory");
    await page.mouse.dblclick(x, y);
    await page.keyboard.type("practice");
    await runCommand(page, "Latent Workbench: Compare Latents with Git HEAD");
    frame = await webviewFrame(page, ".pairs .new");
    assert.match(await frame.locator("h1").innerText(), /einstein\.txt \(HEAD\) → einstein\.txt/);
    assert.match(await frame.locator(".gone").first().innerText(), /theory/);
    assert.match(await frame.locator(".new").first().innerText(), /practice/);
    await frame.getByLabel("Latents that").selectOption("vanish");
    assert.match(await frame.locator("tbody tr").first().innerText(), /vanishes/);
    await shot("compare-head-dark");
  },
);

await step("a token of the page is selected in the editor", async () => {
  await frame.locator(".pairs button", { hasText: "practice" }).first().click();
  const selected = page.locator(".editor-instance .view-overlays .selected-text");
  await selected.first().waitFor({ state: "attached" });
});

await step("two files are picked from lists", async () => {
  await runCommand(page, "Latent Workbench: Compare Latents of Two Files…");
  await chooseRow(page, "einstein.txt");
  await page.locator(".quick-input-widget:visible input.input").fill("self-check");
  await chooseRow(page, "self-check.txt");
  await frame.locator("h1", { hasText: "self-check.txt" }).waitFor();
  await frame.locator(".pairs .new").nth(20).waitFor();
});

await step("a counterfactual map of the text; a cell says which latents change", async () => {
  await page.locator(".editor-instance .view-lines").first().click();
  await runCommand(page, "Latent Workbench: Counterfactual Map");
  frame = await webviewFrame(page, ".map .cell");
  assert.equal(await frame.locator(".sentences li").count(), 6);
  assert.equal(await frame.locator(".cell").count(), 15);
  await frame.getByRole("button", { name: /^without sentence 1, in sentence 4/ }).click();
  await frame.getByText("Without sentence 1, in sentence 4").waitFor();
  await shot("counterfactual-dark");
});

await step(
  "latents pinned in colours of their own: in the editor and in the status bar",
  async () => {
    await frame.locator("tbody button", { hasText: "#" }).first().click();
    await eventually(pinItems, (it) => it.length === 2);
    await frame.locator("tbody button", { hasText: "#" }).nth(1).click();
    await eventually(pinItems, (it) => it.length === 3);
    const colours = await eventually(fills, (it) => it.length >= 3);
    assert.ok(colours.length <= 9, colours.join(" "));
    await shot("pins-dark");
  },
);

await step("one is unpinned from the list; its item goes", async () => {
  await runCommand(page, "Latent Workbench: Pinned Latents…");
  const row = page.locator(".quick-input-list .monaco-list-row").first();
  await row.hover();
  await row.locator(".codicon-close").click();
  await eventually(pinItems, (it) => it.length === 2);
  await page.keyboard.press("Escape");
  await runCommand(page, "Latent Workbench: Unpin All Latents");
  await eventually(pinItems, (it) => it.length === 0);
});

await step("a cell of a notebook is hovered like any text, and heat is drawn in it", async () => {
  const path = server.remote(join(server.folder, "prompts/cells.ipynb"));
  await page.goto(server.url([["openFile", path]]));
  await waitForText(page, "The ship sailed");
  assert.match(await hover(page, "ship", "L0"), /ship/);
  assert.match(await hover(page, "water", "L0"), /water/);
  await runCommand(page, "Latent Workbench: Show Heat…");
  await chooseRow(page, "Strongest activation");
  await eventually(fills, (it) => it.some((colour) => colour.startsWith("rgba(255, 140, 0")));
  await shot("notebook-dark");
});

await step("a notebook that no pattern names is switched on with all its cells", async () => {
  await page.goto(server.url([["openFile", server.remote(join(server.folder, "other.ipynb"))]]));
  await waitForText(page, "Rain fell");
  const { x, y } = await wordAt(page, "Rain");
  await page.mouse.click(x, y);
  await runCommand(page, "Latent Workbench: Toggle Analysis of This File");
  assert.match(await hover(page, "Rain", "L0"), /Rain/);
  assert.match(await hover(page, "wind", "L0"), /wind/);
});

await browser.close();
await server.stop();
const own = report.end();
process.exitCode = gallery.status === 0 ? own : 1;

/** Commits a folder as it is, with nobody's configuration. */
function commitAll(folder) {
  const who = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
  const git = (...args) => execFileSync("git", [...who, ...args], { cwd: folder, stdio: "ignore" });
  git("init", "--quiet");
  git("add", "prompts");
  git("commit", "--quiet", "--message", "texts");
}

/** A notebook of plain texts. */
function notebook(texts) {
  const cells = texts.map((source) => ({
    cell_type: "code",
    execution_count: null,
    metadata: { vscode: { languageId: "plaintext" } },
    outputs: [],
    source: [source],
  }));
  return JSON.stringify({ cells, metadata: {}, nbformat: 4, nbformat_minor: 2 });
}

/** The status bar's items of pinned latents. */
function pinItems() {
  return page
    .locator('.statusbar-item[id*="latentWorkbench.pin"]:visible')
    .evaluateAll((list) => list.map((it) => it.textContent));
}

/** The backgrounds that decorations draw behind the text, with their transparency. */
function fills() {
  return page.evaluate(() => {
    const drawn = [...document.querySelectorAll(".view-overlays .cdr")];
    const colours = drawn.map((element) => getComputedStyle(element).backgroundColor);
    return [...new Set(colours.filter((it) => /^rgba\(\d+, \d+, \d+, 0\.[1-9]/.test(it)))];
  });
}
