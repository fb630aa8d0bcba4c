// The explorer in a real workbench, as a person uses it: a corpus is indexed from the palette, a latent searched by the
// keyboard, tried, labelled, followed from a hover. Screenshots go to out/e2e/explorer-*.png. `node test/e2e/explorer.mjs`
import axe from "axe-core";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { chooseRow, eventually, hover, runCommand, waitForText, webviewFrame } from "./editor.mjs";
import { packExtension } from "./extension-package.mjs";
import { startJudge } from "./fake-judge.mjs";
import { missingParts, outFolder, repoRoot, requireParts } from "./places.mjs";
import { newReport } from "./report.mjs";
import { startServer } from "./vscode-server.mjs";

requireParts("explorer in the browser", missingParts());
// The page by itself, in states that a real index is seldom in.
const gallery = spawnSync(process.execPath, ["test/e2e/explorer-gallery.mjs"], { cwd: repoRoot });
process.stdout.write(gallery.stdout);
process.stderr.write(gallery.stderr);

const judge = await startJudge();
const server = await startServer({
  vsix: packExtension(),
  workspace: join(repoRoot, "demo"),
  settings: {
    "latentWorkbench.explain.endpoint": judge.url,
    "latentWorkbench.explain.model": "judge",
  },
});
const { browser, page, outside } = await startBrowser();
const report = newReport("explorer in the browser", (path) => page.screenshot({ path }));
const { note, step } = report;
const shot = (name) => page.screenshot({ path: join(outFolder, `explorer-${name}.png`) });
const run = join(server.folder, "runs/index-resid2-6144");
const text = join(server.folder, "prompts/corpus.txt");
const einstein = readFileSync(join(repoRoot, "demo/prompts/einstein.txt"), "utf8");
writeFileSync(text, einstein + readFileSync(join(repoRoot, "demo/self-check.txt"), "utf8"));
let frame;

await step("a corpus is indexed from the palette", async () => {
  await page.goto(server.url([["openFile", server.remote(text)]]));
  await waitForText(page, "Einstein");
  await page.keyboard.press("Control+B");
  await runCommand(page, "Latent Workbench: Index Corpus…");
  await chooseRow(page, "The active file");
  await page.locator(".quick-input-widget:visible input.input").fill("50k");
  await page.keyboard.press("Enter");
  const started = performance.now();
  await eventually(() => existsSync(join(run, "result.json")), Boolean);
  assert.equal(JSON.parse(readFileSync(join(run, "result.json"), "utf8")).state, "finished");
  note(`index of 6,144 latents in ${Math.round(performance.now() - started)} ms`);
});

await step("when it is finished the explorer is offered, and has its figures", async () => {
  const toast = page.locator(".notification-toast", { hasText: "is finished" });
  await toast.getByRole("button", { name: "Explore Latents" }).click();
  frame = await webviewFrame(page, ".item");
  await frame.getByText(/latents fire in it/).waitFor();
});

await step("a latent is found and opened by the keyboard alone", async () => {
  await frame.locator("input[role=combobox]").focus();
  await page.keyboard.type("compass");
  await eventually(
    () => frame.locator(".list-pane [role=status]").innerText(),
    (it) => /^[1-9]\d? latents$/.test(it),
  );
  await page.keyboard.press("Enter");
  await frame.locator(".contexts .peak").first().waitFor();
  await frame.locator(".histogram canvas").waitFor();
  await checkAccessibility();
  await shot("dashboard");
});

await step("a text is tried live", async () => {
  const latent = await frame.locator("h1").innerText();
  await frame.getByLabel("Try a text").fill("They went to South Africa and the North Sea");
  await frame.locator(".test .peak").waitFor();
  note(`${latent}: ${await frame.locator(".test [role=status]").innerText()}`);
});

await step("top for a token, and a label that is kept in a file", async () => {
  await frame.getByLabel("Search by").selectOption("token");
  await frame.locator("input[role=combobox]").fill("the");
  await frame.locator(".item").nth(3).waitFor();
  await frame.locator("input[role=combobox]").press("Enter");
  await frame.locator(".contexts .peak").first().waitFor();
  await frame.getByRole("button", { name: "Edit Label" }).click();
  await page.keyboard.type("the article");
  await page.keyboard.press("Enter");
  await frame.locator(".labels li", { hasText: "the article" }).waitFor();
  const file = join(server.folder, "labels/resid2-6144.jsonl");
  assert.match(readFileSync(file, "utf8"), /^\{"latent":\d+,"label":"the article","author":/);
  await shot("labelled");
});

/** From the explorer's button to the question whether to send; what would be sent is open in an editor. */
async function proposeExplanation() {
  await frame.getByRole("button", { name: "Explain…", exact: true }).click();
  await chooseRow(page, "judge");
  await chooseRow(page, "Explain and test");
  await waitForText(page, "This is everything that would be sent to judge");
}

await step("what would be sent is shown first, and nothing is sent without consent", async () => {
  await proposeExplanation();
  await waitForText(page, "[system]");
  await shot("consent");
  await chooseRow(page, "Send nothing");
  await proposeExplanation();
  await page.locator(".quick-input-list .monaco-list-row", { hasText: "Send nothing" }).waitFor();
  await page.keyboard.press("Escape");
  assert.equal(judge.asked.length, 0);
});

await step(
  "with consent a latent is explained, and its label shows author and scores",
  async () => {
    await proposeExplanation();
    await chooseRow(page, "Send 6 questions");
    const label = frame.locator(".labels li", { hasText: "generated by judge" });
    await label.waitFor();
    assert.match(await label.innerText(), /<b>articles<\/b> generated by judge, .*detection 0\.71/);
    assert.equal(
      await frame
        .locator(".labels li")
        .first()
        .innerText()
        .then((it) => it.split(" ")[0]),
      "the",
    );
    assert.equal(judge.asked.length, 6);
    assert.deepEqual([...new Set(judge.asked.map((it) => it.authorization))], [undefined]);
    await shot("explained");
  },
);

await step("latents for selected lines against the other lines of a file", async () => {
  const subjects = ["She", "The old man", "My sister", "A sailor", "Nobody", "The train"];
  const examples = join(server.folder, "prompts/examples.txt");
  const lines = (what) => subjects.map((it) => `${it} went ${what} the river.`);
  writeFileSync(examples, [...lines("north of"), ...lines("slowly by")].join("\n"));
  await page.goto(server.url([["openFile", server.remote(examples)]]));
  await waitForText(page, "She went north");
  await page.locator(".editor-instance .view-line").first().click();
  await page.keyboard.press("Control+Home");
  for (let line = 0; line < subjects.length; line++) await page.keyboard.press("Shift+ArrowDown");
  await runCommand(page, "Latent Workbench: Find Latents for Selections…");
  await chooseRow(page, "The other lines of this file");
  frame = await webviewFrame(page, ".found");
  await frame.getByText("only 3 and 3 examples are held out").waitFor();
  assert.ok((await frame.locator(".item", { hasText: "F1" }).count()) > 5);
  await checkAccessibility();
  await shot("found");
  await page.goto(server.url([["openFile", server.remote(text)]]));
  await waitForText(page, "Einstein");
  await runCommand(page, "Latent Workbench: Explore Latents");
  frame = await webviewFrame(page, ".item");
});

await step("a latent of a hover is opened in the explorer", async () => {
  await hover(page, "Einstein", "L0");
  const link = page.locator(".monaco-hover:not(.hidden) a", { hasText: /^#\d+$/ }).first();
  const latent = await link.innerText();
  await link.click();
  await frame.locator("h1", { hasText: latent }).waitFor();
  await frame.locator(".place").first().waitFor();
  await shot("from-hover");
});

await step("the side bar lists models, SAEs and pins", async () => {
  await page.locator('.activitybar [aria-label^="Latent Workbench"]').first().click();
  const tree = page.locator(".pane-body .monaco-list-row");
  await tree.filter({ hasText: "resid2-6144" }).first().waitFor();
  await tree.filter({ hasText: "meta-512" }).first().waitFor();
  await tree.filter({ hasText: "#1123" }).first().waitFor();
  await shot("tree");
});

await step("nothing left the machine", () => {
  assert.deepEqual(outside(), []);
  assert.deepEqual(server.network().left, []);
});

judge.close();
await browser.close();
await server.stop();
const own = report.end();
process.exitCode = gallery.status === 0 ? own : 1;

async function checkAccessibility() {
  const { violations } = await frame.evaluate(`${axe.source}; axe.run()`);
  assert.deepEqual(
    violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
    [],
  );
}
