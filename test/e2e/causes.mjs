// Attribution and steering in a real workbench in a real browser, and the attribution page by itself. Needs what
// test/e2e/run.mjs needs. `node test/e2e/causes.mjs`
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
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

requireParts("attribution and steering in the browser", missingParts());
const gallery = spawnSync(process.execPath, ["test/e2e/attribution-gallery.mjs"], {
  cwd: repoRoot,
});
process.stdout.write(gallery.stdout);
process.stderr.write(gallery.stderr);

const server = await startServer({ vsix: packExtension(), workspace: join(repoRoot, "demo") });
const { browser, page } = await startBrowser();
const report = newReport("attribution and steering", (path) => page.screenshot({ path }));
const { step } = report;
const shot = (name) => page.screenshot({ path: join(outFolder, `${name}.png`) });
let frame;

await step("the demo opens", async () => {
  const path = server.remote(join(server.folder, "prompts/einstein.txt"));
  await page.goto(server.url([["openFile", path]]));
  await waitForText(page, "Einstein");
  await page.keyboard.press("Control+B");
  await hover(page, "Einstein", "Attribute next token");
});

await step("a hover's link opens the attribution page at that token", async () => {
  await page.locator(".monaco-hover:not(.hidden) a", { hasText: "Attribute next token" }).click();
  frame = await webviewFrame(page, "tbody tr");
  assert.match(await frame.locator("h1").innerText(), /stein|Ein/);
  assert.ok((await frame.locator("tbody tr").count()) > 5);
  await shot("attribution-dark");
});

await step("another question about it is answered, too", async () => {
  await frame.getByLabel(/by ablation/).check();
  await frame.getByText(/r = 0\.\d+/).waitFor({ timeout: 180_000 });
});

await step("the command is about the token at the cursor", async () => {
  await page.keyboard.press("Escape");
  const { x, y } = await wordAt(page, "theory");
  await page.mouse.click(x, y);
  await runCommand(page, "Latent Workbench: Attribute Next Token");
  await frame.locator("h1", { hasText: "theory" }).waitFor({ timeout: 180_000 });
});

await step(
  "a latent steered from the page: original and steered text in a diff editor",
  async () => {
    await frame
      .getByRole("button", { name: /^Steer with latent/ })
      .first()
      .click();
    await chooseRow(page, "Add");
    const amount = page.locator(".quick-input-widget:visible input.input");
    await eventually(
      () => amount.inputValue(),
      (it) => Number(it) > 0,
    );
    await amount.fill("150");
    await page.keyboard.press("Enter");
    await chooseRow(page, "Everywhere");
    await chooseRow(page, "After the token at the cursor");
    await chooseRow(page, "Keep it");
    // In a narrow column the editor draws both in one.
    const diff = page.locator(".monaco-diff-editor");
    await eventually(
      async () => (await diff.allInnerTexts()).join(" ").replaceAll("\u00a0", " "),
      (it) => /steered by: nothing/.test(it) && /steered by: latent \d+ \+ 150/.test(it),
    );
    await shot("steered-dark");
  },
);

await step("a latent steered from the palette: the model writes on, side by side", async () => {
  await page.keyboard.press("Control+w");
  await waitForText(page, "Einstein");
  const { x, y } = await wordAt(page, "theory");
  await page.mouse.click(x, y);
  await runCommand(page, "Latent Workbench: Steer…");
  // The strongest latent at the cursor.
  await page.locator(".quick-input-list .monaco-list-row").first().click();
  await chooseRow(page, "Ablate");
  await chooseRow(page, "Everywhere");
  await chooseRow(page, "After the end of the text");
  await chooseRow(page, "Keep it");
  const diff = page.locator(".monaco-diff-editor");
  const text = await eventually(
    async () => (await diff.allInnerTexts()).join(" ").replaceAll("\u00a0", " "),
    (it) => /steered by: latent \d+ ablated/.test(it),
  );
  // What is written follows the text of the file, on both sides.
  assert.match(text, /⟶\s*\S/);
  await shot("steered-from-palette-dark");
});

await browser.close();
await server.stop();
const own = report.end();
process.exitCode = gallery.status === 0 ? own : 1;
