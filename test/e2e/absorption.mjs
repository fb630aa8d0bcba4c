// Absorption in a real workbench, as a person meets it: the probe from the palette, the verdict in the hover, the problem with its
// actions, the case on its page and back to the files, and the levels that may help. Screenshots go to out/e2e/; with `--pictures`
// those of the README go to docs/ as well: `npm run build && node test/e2e/absorption.mjs --pictures`.
import axe from "axe-core";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
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
import { newReport } from "./report.mjs";
import { startServer } from "./vscode-server.mjs";

const name = "absorption in the browser";
const takesPictures = process.argv.includes("--pictures");
/** A README is loaded over slow lines, too. */
const mostPictureBytes = 150_000;

requireParts(name, missingParts());
const galleries = ["absorption", "decompositions"].map((page) => {
  const gallery = spawnSync(process.execPath, [`test/e2e/${page}-gallery.mjs`], { cwd: repoRoot });
  process.stdout.write(gallery.stdout);
  process.stderr.write(gallery.stderr);
  return gallery;
});

const cache = mkdtempSync(join(tmpdir(), "latent-workbench-cache-"));
const server = await startServer({
  vsix: packExtension(),
  workspace: join(repoRoot, "demo"),
  // What was prepared on this machine before would be recalled.
  settings: { "latentWorkbench.cacheFolder": cache },
});
const { browser, page, outside } = await startBrowser();
const report = newReport(name, (path) => page.screenshot({ path }));
const { step } = report;
const golden = JSON.parse(
  readFileSync(join(repoRoot, "test/golden/demo/absorption_examples.json"), "utf8"),
).examples.find(({ word }) => word === "for");
let frame;

await step("no word is judged before a task is prepared", async () => {
  const file = server.remote(join(server.folder, "prompts/absorbed.prompt.md"));
  await page.goto(server.url([["openFile", file]]));
  await waitForText(page, "has the first letter");
  await page.keyboard.press("Control+B");
  const text = await hover(page, "for", "resid2-6144-k2");
  assert.doesNotMatch(text, /first-letter/);
});

await step("a task is prepared from the palette", async () => {
  await runCommand(page, "Latent Workbench: Prepare Absorption Probe…");
  await chooseRow(page, "first-letter");
  await chooseRow(page, "In the task's prompts");
  const said = page.locator(".notification-toast", { hasText: "Hover a word to see its verdict" });
  await said.waitFor({ timeout: 400_000 });
  await page.keyboard.press("Escape");
  await runCommand(page, "Notifications: Clear All Notifications");
});

await step("the hover says that “for” is absorbed, by the golden's latents", async () => {
  const text = await hover(page, "for", "absorbed");
  const found =
    /absorbed · first-letter “f”: probe \d.*main #(\d+) silent \(pre-activation [\d.-]+, threshold ([\d.]+).*#(\d+) carries ([\d.]+) of the probe's projection \(cosine ([\d.]+)\).*'s encoder (-?[\d.]+), with its decoder row (-?[\d.]+)/s.exec(
      text,
    );
  assert.ok(found, text);
  const [, main, threshold, absorber, share, cosine] = found.map(Number);
  assert.equal(main, golden.main_latents[0]);
  assert.equal(absorber, golden.absorber);
  assert.ok(Math.abs(threshold - golden.threshold) < 0.05);
  // Of other examples in front of the word, and a probe on other words.
  assert.ok(Math.abs(share - golden.absorber_share_of_projection) < 0.1);
  assert.ok(Math.abs(cosine - golden.absorber_cosine) < 0.02);
  const word = await wordAt(page, "for");
  const box = await page.locator(".monaco-hover:not(.hidden)").last().boundingBox();
  const top = Math.min(box.y, word.y - 12) - 6;
  const height = Math.max(box.y + box.height, word.y + 12) + 6 - top;
  await picture("absorption-hover", { x: box.x - 50, y: top, width: box.width + 60, height });
});

await step(
  "switched on, absorbed words are problems, and their actions open the case",
  async () => {
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".squiggly-info").count(), 0);
    const settings = { "latentWorkbench.absorption.diagnostics": true };
    mkdirSync(join(server.folder, ".vscode"), { recursive: true });
    writeFileSync(join(server.folder, ".vscode/settings.json"), JSON.stringify(settings));
    await page.locator(".squiggly-info").first().waitFor();
    const { x, y } = await wordAt(page, "for");
    await page.mouse.click(x, y);
    await page.keyboard.press("Control+.");
    const actions = page.locator(".action-widget .monaco-list-row");
    await actions.filter({ hasText: "Pin absorber #5982" }).waitFor();
    await page.screenshot({ path: join(outFolder, "absorption-actions.png") });
    // The first one: by keyboard, as it came.
    await page.locator(".action-widget .monaco-list-row.focused", { hasText: "Open on" }).waitFor();
    await page.keyboard.press("Enter");
    frame = await webviewFrame(page, ".place[aria-current=true]");
    assert.match(
      await frame.locator(".place[aria-current=true]").innerText(),
      /:12\b.*for.*absorbed/s,
    );
    await frame.getByRole("heading", { name: "f", exact: true }).waitFor();
    assert.match(await frame.locator(".labels tr[aria-current]").innerText(), /#1527/);
  },
);

await step("the page shows the case, without accessibility violations", async () => {
  const shown = frame.locator("section[aria-label='In the workspace'] .split");
  assert.match(await shown.locator("tbody tr").first().innerText(), /#5982/);
  const { violations } = await frame.evaluate(`${axe.source}; axe.run()`);
  assert.deepEqual(
    violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
    [],
  );
  await runCommand(page, "View: Maximize Editor Group");
  const section = frame.locator("section[aria-label='In the workspace']");
  await section.scrollIntoViewIfNeeded();
  await page.screenshot({ path: join(outFolder, "absorption-case.png") });
  await picture("absorption-page", section);
  await runCommand(page, "View: Reset Editor Group Sizes");
});

await step("the arrows and Enter go back to a file", async () => {
  await frame.locator(".place").first().focus();
  await page.keyboard.press("ArrowDown");
  const place = frame.locator(".place:focus");
  const line = Number(/:(\d+)/.exec(await place.innerText())?.[1]);
  await page.keyboard.press("Enter");
  const status = page.locator('.statusbar-item[id*="status.editor.selection"]');
  await eventually(
    () => status.innerText(),
    (it) => it.includes(`Ln ${line},`),
  );
});

await step("levels are compared, and the page says which to use", async () => {
  await runCommand(page, "Latent Workbench: Which Decomposition Helps?");
  frame = await webviewFrame(page, ".candidates input");
  // The bundle's SAEs are listed beside the workspace's copies of them.
  for (const box of await frame.locator(".candidates input").all()) await box.uncheck();
  for (const id of ["resid2-6144-k2", "meta-512"])
    await frame.getByRole("checkbox", { name: id }).first().check();
  await frame.getByRole("button", { name: "Compare" }).click();
  await frame.locator(".levels tbody tr").nth(1).waitFor({ timeout: 400_000 });
  const rows = await frame.locator(".levels tbody th").allInnerTexts();
  assert.deepEqual(rows, ["resid2-6144-k2", "meta-512 of resid2-6144-k2"]);
  assert.match(await frame.locator(".sentence").innerText(), /^For this task: resid2-6144-k2/);
  await page.screenshot({ path: join(outFolder, "decompositions-page.png") });
});

await step("nothing left the machine", () => {
  assert.deepEqual(outside(), []);
  assert.deepEqual(server.network().left, []);
});

await browser.close();
await server.stop();
rmSync(cache, { recursive: true });
const own = report.end();
process.exitCode = galleries.every(({ status }) => status === 0) ? own : 1;

/** A screenshot of a part of the page or of an element, for the README. */
async function picture(title, part) {
  const path = join(outFolder, `${title}.png`);
  if (typeof part.screenshot === "function") await part.screenshot({ path });
  else await page.screenshot({ path, clip: part });
  assert.ok(statSync(path).size <= mostPictureBytes, `${title} has ${statSync(path).size} bytes`);
  if (takesPictures) copyFileSync(path, join(repoRoot, "docs", `${title}.png`));
}
