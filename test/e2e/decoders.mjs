// The meta-SAE explorer, stitching, absorption and absorption over SAEs in a real workbench, from the palette to what was measured.
// Screenshots go to out/e2e/meta-*.png, out/e2e/stitching-*.png, out/e2e/absorption-*.png and out/e2e/sweep-*.png. `node test/e2e/decoders.mjs`
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { runCommand, waitForText, webviewFrame } from "./editor.mjs";
import { packExtension } from "./extension-package.mjs";
import { fakeSweep } from "./fake-sweep.mjs";
import { missingParts, outFolder, repoRoot, requireParts } from "./places.mjs";
import { newReport } from "./report.mjs";
import { startServer } from "./vscode-server.mjs";

requireParts("pages about decoders in the browser", missingParts());
// The pages by themselves, in states that the real server is seldom in.
const galleries = ["decoders", "sweep"].map((name) => {
  const program = `test/e2e/${name}-gallery.mjs`;
  const gallery = spawnSync(process.execPath, [program], { cwd: repoRoot });
  process.stdout.write(gallery.stdout);
  process.stderr.write(gallery.stderr);
  return gallery;
});

const server = await startServer({ vsix: packExtension(), workspace: join(repoRoot, "demo") });
const { browser, page, outside } = await startBrowser();
const report = newReport("pages about decoders in the browser", (path) =>
  page.screenshot({ path }),
);
const { step } = report;
const shot = (name) => page.screenshot({ path: join(outFolder, `${name}.png`) });

await step("the explorer shows the demo's meta-SAE", async () => {
  const file = server.remote(join(server.folder, "prompts/einstein.txt"));
  await page.goto(server.url([["openFile", file]]));
  await waitForText(page, "Einstein");
  await page.keyboard.press("Control+B");
  await runCommand(page, "Latent Workbench: Explore Meta-SAE");
  const frame = await webviewFrame(page, ".members tbody tr");
  assert.match(await frame.locator(".explained").innerText(), /42\.\d %/);
  await frame.getByRole("searchbox").fill("articles");
  await frame.getByRole("button", { name: "#173" }).click();
  await frame.locator("h2", { hasText: "#173" }).waitFor();
  await frame.locator(".members").getByRole("button", { name: "#2182" }).click();
  await frame.locator(".breakdown tbody tr").first().waitFor();
  await shot("meta-page");
});

await step("two SAEs are measured and their latents listed", async () => {
  await runCommand(page, "Latent Workbench: Stitch SAEs…");
  const frame = await webviewFrame(page, "form select");
  // The workspace names one SAE of its own; the other one comes from the bundled demo.
  for (const [nth, id] of ["resid2-1024", "resid2-6144"].entries()) {
    const select = frame.locator("form select").nth(nth);
    const option = select.locator("option", { hasText: `${id} (` }).first();
    await option.waitFor({ state: "attached" });
    await select.selectOption(await option.getAttribute("value"));
  }
  await frame.getByRole("spinbutton", { name: "tokens" }).fill("400");
  await frame.getByRole("spinbutton", { name: "latents with cross-entropy" }).fill("4");
  await frame.getByRole("button", { name: "Measure" }).click();
  await frame.locator(".latents tbody tr").first().waitFor({ timeout: 120_000 });
  assert.match(await frame.locator(".header").innerText(), /resid2-6144 beside resid2-1024/);
  await frame.getByRole("button", { name: "Path as a table" }).click();
  assert.match(await frame.locator(".path").innerText(), /the rest: wide SAE/);
  await shot("stitching-page");
});

await step("absorption of the demo's SAE is measured, and a word's projection split", async () => {
  const file = server.remote(join(server.folder, "prompts/absorbed.prompt.md"));
  await page.goto(server.url([["openFile", file]]));
  await waitForText(page, "has the first letter");
  await runCommand(page, "Latent Workbench: Absorption");
  const frame = await webviewFrame(page, "form option[value$='first-letter.jsonc']");
  assert.match(await frame.locator("form select").first().innerText(), /resid2-6144-k2/);
  await frame.getByRole("button", { name: "Measure" }).click();
  await frame.locator(".labels tbody tr").first().waitFor({ timeout: 240_000 });
  await frame.locator(".labels").getByRole("button", { name: "f", exact: true }).click();
  await frame.getByRole("heading", { name: "f", exact: true }).waitFor();
  await frame.locator(".split tfoot").waitFor();
  assert.match(await frame.locator(".labels tr[aria-current]").innerText(), /#1527/);
  assert.match(await frame.locator(".absorbers").innerText(), /#3380 following/);
  await shot("absorption-page");
  await frame.getByLabel("words of a label, at most").fill("2");
  await page.keyboard.press("Tab");
  await frame.getByRole("button", { name: "Judge by effects" }).click();
  await frame.locator(".effects tbody tr").first().waitFor({ timeout: 240_000 });
  assert.match(await frame.locator(".effects tbody tr").first().innerText(), /−[1-3]\.\d{3}/);
  await frame.locator(".effects").scrollIntoViewIfNeeded();
  await shot("absorption-causal-page");
});

await step("the demo's SAEs in use are compared, and the measured one is recalled", async () => {
  await runCommand(page, "Latent Workbench: Compare Absorption over SAEs…");
  const frame = await webviewFrame(page, "fieldset.saes input");
  await frame.getByRole("button", { name: "Measure" }).click();
  await frame
    .locator(".figures tbody tr", { hasText: "resid2-6144-k2" })
    .waitFor({ timeout: 240_000 });
  assert.match(await frame.locator(".figures tbody tr").first().innerText(), /batchtopk.*6144/s);
  await frame.getByRole("gridcell").first().waitFor();
  await frame.getByRole("heading", { name: /By word frequency/ }).waitFor();
  await shot("sweep-page");
});

await step("a finished sweep is opened from the explorer's menu of its file", async () => {
  mkdirSync(join(server.folder, "sweep"), { recursive: true });
  writeFileSync(join(server.folder, "sweep/sweep.json"), JSON.stringify(fakeSweep()));
  await runCommand(page, "View: Close All Editors");
  await runCommand(page, "View: Show Explorer");
  const rows = page.locator(".explorer-folders-view .monaco-list-row");
  const entry = rows.filter({ hasText: "sweep.json" });
  await rows.filter({ hasText: /^sweep$/ }).click();
  await entry.click({ button: "right" });
  // A menu takes no click that comes right after the one that opened it.
  await page.getByRole("menuitem", { name: "Compare Absorption over SAEs…" }).hover();
  await page.keyboard.press("Enter");
  const frame = await webviewFrame(page, "[role=gridcell]");
  await frame.getByRole("heading", { name: /By width and L0/ }).waitFor();
  await frame.locator(".figures tbody tr", { hasText: "w6144-l20-tied" }).waitFor();
  await shot("sweep-folder");
});

await step("nothing left the machine", () => {
  assert.deepEqual(outside(), []);
  assert.deepEqual(server.network().left, []);
});

await browser.close();
await server.stop();
const own = report.end();
process.exitCode = galleries.every(({ status }) => status === 0) ? own : 1;
