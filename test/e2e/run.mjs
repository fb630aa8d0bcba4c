// The main job in a real workbench, as a person does it: hover, read latents, type, hover again, follow a selection
// between editor and text page. Screenshots in dark and light go to out/e2e/. `node test/e2e/run.mjs`
import axe from "axe-core";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import {
  chooseRow,
  eventually,
  hover,
  runCommand,
  waitForText,
  webviewFrame,
  wordAt,
} from "./editor.mjs";
import { packExtension } from "./extension-package.mjs";
import { missingParts, outFolder, repoRoot, requireParts } from "./places.mjs";
import { onlyDescendant } from "./processes.mjs";
import { newReport } from "./report.mjs";
import { startServer } from "./vscode-server.mjs";

requireParts("browser", missingParts());
rmSync(outFolder, { recursive: true, force: true });
// The pages by themselves, in states that the real server is seldom in.
const gallery = spawnSync(process.execPath, ["test/e2e/gallery.mjs"], { cwd: repoRoot });
process.stdout.write(gallery.stdout);
process.stderr.write(gallery.stderr);

const server = await startServer({ vsix: packExtension(), workspace: join(repoRoot, "demo") });
const { browser, page, outside } = await startBrowser();
const report = newReport("browser", (path) => page.screenshot({ path }));
const { step, note } = report;
const shot = (name) => page.screenshot({ path: join(outFolder, `${name}.png`) });
const statusItem = page.locator('.statusbar-item[id*="latentWorkbench.status"]');
let frame;

await step("the demo opens in a real workbench", async () => {
  const path = server.remote(join(server.folder, "prompts/einstein.txt"));
  await page.goto(server.url([["openFile", path]]));
  await waitForText(page, "Einstein");
  // The files' side bar leaves little room for two columns.
  await page.keyboard.press("Control+B");
});
const shown = performance.now();

await step("a hover on Einstein lists latents", async () => {
  const text = await hover(page, "Einstein", "L0");
  note(`first hover ${Math.round(performance.now() - shown)} ms after the text showed`);
  assert.match(text, /Einstein/);
  assert.match(text, /#\d+/);
  assert.match(text, /resid2-6144/);
  assert.match(text, /blocks\.2\.hook_resid_post/);
  await shot("hover-dark");
});

await step("the status bar names model, SAE and device", async () => {
  const text = await eventually(
    async () => (await statusItem.innerText()).replaceAll("\u00a0", " "),
    (it) => /lm/.test(it) && /resid2-6144/.test(it) && /cpu/.test(it),
  );
  note(`status bar: ${text.trim()}`);
});

await step("a code lens sums the file up", async () => {
  await page
    .locator(".codelens-decoration", { hasText: /mean L0/ })
    .first()
    .waitFor();
});

await step("after a character is typed the hover is about the new text", async () => {
  const before = await hover(page, "Einstein", "L0");
  const end = await wordAt(page, "Einstein");
  await page.mouse.click(end.x, end.y);
  await page.keyboard.press("Control+Home");
  await page.keyboard.type("A ");
  const after = await hover(page, "Einstein", "L0");
  assert.ok(positionIn(after) > positionIn(before), `${before}\nthen ${after}`);
});

await step("heat is drawn in the editor", async () => {
  await runCommand(page, "Latent Workbench: Show Heat…");
  await chooseRow(page, "Strongest activation");
  const colours = await eventually(heatColours, (it) => it.length >= 3);
  note(`${colours.length} colours of heat`);
  await shot("heat-dark");
});

await step("the text page opens beside the editor, BOS and all", async () => {
  await runCommand(page, "Latent Workbench: Open Text Page");
  frame = await webviewFrame(page, ".strip [role=option]");
  const first = frame.locator('[data-index="0"]');
  assert.match(await first.innerText(), /endoftext/);
  assert.match(await first.getAttribute("class"), /special/);
});

await step("a token chosen on the page is selected in the editor", async () => {
  const token = frame.locator(".strip [role=option]", { hasText: "stein" }).first();
  await token.click();
  const { x } = await wordAt(page, "stein");
  const boxes = () => page.locator(".editor-instance .selected-text").evaluateAll(boxesOf);
  await eventually(boxes, ([box]) => box !== undefined && box.left < x && x < box.right);
  await frame.locator(".card h2", { hasText: "stein" }).waitFor();
  await frame.locator(".latents tbody tr").first().waitFor();
  await shot("text-page-dark");
});

await step("the arrow keys move along the tokens", async () => {
  const before = await selectedIndex();
  await page.keyboard.press("ArrowRight");
  await eventually(selectedIndex, (index) => index === before + 1);
});

await step("the page follows the editor's cursor", async () => {
  const selected = frame.locator(".token.selected", { hasText: "gravity" });
  // A hover that still lies over the word takes the first click.
  for (let round = 1; round <= 5 && !(await selected.isVisible()); round++) {
    await page.keyboard.press("Escape");
    const { x, y } = await wordAt(page, "gravity");
    await page.mouse.click(x, y);
    await selected.waitFor({ timeout: 10_000 }).catch(() => undefined);
  }
  await selected.waitFor({ timeout: 1000 });
});

await step("the page follows what is typed", async () => {
  const before = await stripTokens();
  await page.keyboard.press("Control+End");
  await page.keyboard.type(" He liked to sail and to play the violin.");
  await eventually(stripTokens, (count) => count > before);
});

await step("every heat of the page has its scale", async () => {
  for (const mode of ["l0", "error", "loss", "activation"]) {
    await frame.getByRole("combobox", { name: "Heat" }).selectOption(mode);
    await frame.locator(".scale").waitFor();
    await frame.locator('.strip [class*="heat5"]').first().waitFor();
  }
});

await step("next tokens on demand", async () => {
  await frame.getByRole("button", { name: "Show next tokens" }).click();
  await frame.locator(".next li").nth(2).waitFor();
});

await step("a pinned latent has its own heat", async () => {
  await frame.locator(".latents button").first().click();
  await frame.locator(".latents button[aria-pressed=true]").waitFor();
  await frame.getByText("The activation of the pinned latents").waitFor();
  await shot("pinned-dark");
});

await step("the page has no accessibility violations", async () => {
  const { violations } = await frame.evaluate(`${axe.source}; axe.run()`);
  assert.deepEqual(
    violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
    [],
  );
});

await step("light theme", async () => {
  await runCommand(page, "Preferences: Toggle between Light/Dark Themes");
  await page.locator(".monaco-workbench.vs").waitFor();
  await shot("text-page-light");
  await hover(page, "Einstein", "L0");
  await shot("hover-light");
});

await step("a chat shows its template's tokens, and a context for each conversation", async () => {
  await openFile("chat.jsonl");
  await waitForText(page, "Paris");
  await eventually(
    async () => (await statusItem.innerText()).replaceAll("\u00a0", " "),
    (it) => /resid2-6144/.test(it),
  );
  await runCommand(page, "Latent Workbench: Open Text Page");
  frame = await webviewFrame(page, 'select option:text("conversation 2")');
  await frame.locator(".token.inserted", { hasText: "stem" }).first().waitFor();
  await frame.getByRole("combobox", { name: "Context" }).selectOption("2");
  await frame.locator(".strip [role=option]", { hasText: "Sp" }).first().waitFor();
  await shot("chat-light");
});

await step("the status bar's menu concerns the file beside the focused page", async () => {
  await frame.locator(".strip [role=option]").nth(8).click();
  await statusItem.click();
  await page.locator(".quick-input-list .monaco-list-row", { hasText: "Stop reading" }).waitFor();
  await page.keyboard.press("Escape");
});

await step("when the reader is killed it is reported, and the next hover answers", async () => {
  const { pid } = onlyDescendant(server.pid, "dist/reader.js");
  process.kill(pid, "SIGKILL");
  await page
    .locator(".notification-toast", { hasText: /Latent Workbench/ })
    .first()
    .waitFor();
  await shot("reader-killed");
  const text = await hover(page, "capital", "L0");
  assert.match(text, /#\d+/);
  assert.notEqual(onlyDescendant(server.pid, "dist/reader.js").pid, pid);
  await frame.locator(".strip [role=option]").first().waitFor();
});

await step("when the language server is killed it is restarted and says so", async () => {
  process.kill(onlyDescendant(server.pid, "dist/main.js").pid, "SIGKILL");
  const toast = page.locator(".notification-toast", { hasText: /ended unexpectedly/ }).first();
  await toast.waitFor();
  const text = await hover(page, "capital", "L0");
  assert.match(text, /#\d+/);
});

await step("the walkthrough opens, and its demo text is read at once", async () => {
  await runCommand(page, "Latent Workbench: Get Started");
  await page.getByRole("button", { name: "Open Demo Text" }).click();
  await waitForText(page, "latent-workbench:");
  assert.match(await hover(page, "Albert", "L0"), /token 3 of 135/);
  await shot("walkthrough-demo");
});

await step("nothing left the machine", () => {
  assert.deepEqual(outside(), []);
  const { processes, left } = server.network();
  for (const program of ["server-main.js", "dist/main.js", "dist/reader.js"]) {
    assert.ok(
      processes.some((it) => it.includes(program)),
      `${program} was not watched: ${processes.join("; ")}`,
    );
  }
  assert.deepEqual(left, []);
});

await browser.close();
await server.stop();
const own = report.end();
process.exitCode = gallery.status === 0 ? own : 1;

/** Opens a file of the demo's prompts by its name, beside the page. */
async function openFile(name) {
  await page.locator(".editor-instance .view-line").first().click();
  await page.locator(".command-center .command-center-center").click();
  await page.locator(".quick-input-widget:visible input.input").fill(name);
  await chooseRow(page, name);
}

function positionIn(hoverText) {
  return Number(/position (\d+)/.exec(hoverText)?.[1]);
}

function boxesOf(elements) {
  return elements.map((element) => {
    const { left, right } = element.getBoundingClientRect();
    return { left, right };
  });
}

async function stripTokens() {
  const label = await frame.locator(".strip").getAttribute("aria-label");
  return Number(/(\d+) tokens/.exec(label)?.[1]);
}

async function selectedIndex() {
  const selected = frame.locator(".strip [aria-selected=true]");
  return (await selected.count()) === 1 ? Number(await selected.getAttribute("data-index")) : -1;
}

/** The backgrounds that decorations draw behind the text. */
function heatColours() {
  return page.evaluate(() => {
    const drawn = [...document.querySelectorAll(".editor-instance .view-overlays .cdr")];
    const colours = drawn.map((element) => getComputedStyle(element).backgroundColor);
    return [...new Set(colours.filter((it) => it.startsWith("rgba(255, 1")))];
  });
}
