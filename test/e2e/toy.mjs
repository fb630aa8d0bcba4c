// Toy models in a real workbench, as a person trains them: from the palette, cancelled, and to the end.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { runCommand, waitForText, webviewFrame } from "./editor.mjs";
import { packExtension } from "./extension-package.mjs";
import { missingParts, outFolder, repoRoot, requireParts } from "./places.mjs";
import { newReport } from "./report.mjs";
import { startServer } from "./vscode-server.mjs";

requireParts("toy models in the browser", missingParts());
// The page by itself, in states that a real run is seldom in.
const gallery = spawnSync(process.execPath, ["test/e2e/toy-gallery.mjs"], { cwd: repoRoot });
process.stdout.write(gallery.stdout);
process.stderr.write(gallery.stderr);

const server = await startServer({ vsix: packExtension(), workspace: join(repoRoot, "demo") });
const { browser, page, outside } = await startBrowser();
const report = newReport("toy models in the browser", (path) => page.screenshot({ path }));
const steps = "Steps";
let frame;

await report.step("the page opens from the palette", async () => {
  const file = join(server.folder, "prompts/einstein.txt");
  await page.goto(server.url([["openFile", server.remote(file)]]));
  await waitForText(page, readFileSync(file, "utf8").slice(0, 12));
  await runCommand(page, "Latent Workbench: Toy Models");
  frame = await webviewFrame(page, ".knobs");
});

await report.step("a run is cancelled", async () => {
  await frame.getByRole("slider", { name: steps }).fill("8000");
  await frame.getByRole("button", { name: "Train" }).click();
  await frame.getByRole("status").getByText("of 8000").waitFor();
  await frame.getByRole("button", { name: "Cancel" }).click();
  await frame.getByRole("button", { name: "Train" }).waitFor();
  assert.equal(await frame.locator(".card").count(), 0);
  assert.equal(await frame.getByRole("alert").count(), 0);
});

await report.step("absorption is there with a hierarchy, and gone without", async () => {
  await frame.getByRole("slider", { name: steps }).fill("1500");
  for (const hierarchy of ["1", "0"]) {
    await frame.getByRole("slider", { name: "Hierarchy" }).fill(hierarchy);
    await frame.getByRole("button", { name: "Train" }).click();
    const number = hierarchy === "1" ? 0 : 1;
    await frame.locator(".card").nth(number).waitFor({ timeout: 180_000 });
    await frame.getByRole("button", { name: "Train" }).waitFor();
  }
  const absorbed = await frame.locator(".summary tbody td:nth-child(4)").allInnerTexts();
  assert.deepEqual(absorbed, ["100 %", "0 %"]);
  await page.screenshot({ path: join(outFolder, "toy-models.png") });
});

await report.step("nothing was asked of the network", async () => {
  assert.deepEqual(outside(), []);
});
await browser.close();
await server.stop();
const own = report.end();
process.exitCode = gallery.status === 0 ? own : 1;
