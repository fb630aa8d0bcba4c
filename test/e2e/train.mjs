// Training in a real workbench, as a person does it: a run from the palette, its curves, cancel, reload, resume, and a
// hover with what came out. Screenshots go to out/e2e/train-*.png. `node test/e2e/train.mjs`
import axe from "axe-core";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { chooseRow, eventually, hover, runCommand, waitForText, webviewFrame } from "./editor.mjs";
import { packExtension } from "./extension-package.mjs";
import { missingParts, outFolder, repoRoot, requireParts } from "./places.mjs";
import { newReport } from "./report.mjs";
import { startServer } from "./vscode-server.mjs";

requireParts("training in the browser", missingParts());
// The page by itself, in states that a real run is seldom in.
const gallery = spawnSync(process.execPath, ["test/e2e/train-gallery.mjs"], { cwd: repoRoot });
process.stdout.write(gallery.stdout);
process.stderr.write(gallery.stderr);

const server = await startServer({ vsix: packExtension(), workspace: join(repoRoot, "demo") });
const { browser, page, outside } = await startBrowser();
const report = newReport("training in the browser", (path) => page.screenshot({ path }));
const { note } = report;
let lost = false;
// Each step stands on those before; one that fails ends the run, so that nobody waits for what cannot come.
const step = (title, body) =>
  report.step(title, async () => {
    if (lost) throw Object.assign(new Error(), { stack: "not tried: a step before failed" });
    lost = true;
    await body();
    lost = false;
  });
const shot = (name) => page.screenshot({ path: join(outFolder, `train-${name}.png`) });
const runs = join(server.folder, "runs");
const corpus = join(server.folder, "corpus.txt");
writeFileSync(corpus, readFileSync(join(repoRoot, "demo/self-check.txt")));
const given = {
  data: { kind: "files", lm: "lm", files: ["corpus.txt"], ctx: 128 },
  batch: 64,
  saes: [
    {
      hook: "blocks.1.hook_resid_post",
      train: { architecture: "topk", d_sae: 128, steps: 20, lr: 0.001 },
    },
  ],
  sweep: { k: [2, 4] },
};
writeFileSync(join(server.folder, "widths.run.jsonc"), JSON.stringify(given, null, 2));
let frame;
let folder;
let pid;

await step("a run is started from the palette with a few answers", async () => {
  await page.goto(server.url([["openFile", server.remote(corpus)]]));
  await waitForText(page, readFileSync(corpus, "utf8").slice(0, 12));
  await page.keyboard.press("Control+B");
  await runCommand(page, "Latent Workbench: Train SAE…");
  await question("Architecture");
  await chooseRow(page, "BatchTopK");
  await question("Hook point");
  await shot("question");
  await chooseRow(page, "blocks.2.hook_resid_post");
  await question("Corpus");
  await chooseRow(page, "The active file");
  await answer("Latents", "512");
  await answer("Active latents", "8");
  // Enough that a fast machine is not done before it is stopped and resumed.
  await answer("Tokens to train on", "3M");
  const [name] = await eventually(
    () => (existsSync(runs) ? readdirSync(runs) : []),
    (it) => it.length === 1,
  );
  assert.equal(name, "batchtopk-resid_post-2-512");
  folder = join(runs, name);
});

await step("the training page shows its curves, and they move", async () => {
  frame = await webviewFrame(page, ".chart[data-metric=loss] canvas");
  const first = await eventually(lossShown, (it) => it.length > 0);
  const before = await drawn();
  await eventually(lossShown, (it) => it.length > 0 && it !== first);
  await eventually(drawn, (it) => it !== before);
  for (const metric of ["loss", "fvu", "l0", "dead", "lr", "rowsPerSecond"]) {
    await frame.locator(`.chart[data-metric=${metric}]`).waitFor();
  }
  assert.match(await frame.locator(".state").innerText(), /running: step \d+ of \d+/);
  await shot("running");
  pid = processOf(folder).pid;
});

await step("the list of runs shows it", async () => {
  await page.locator('.activitybar [aria-label^="Latent Workbench"]').first().click();
  const row = page.locator(".pane-body .monaco-list-row", { hasText: "batchtopk" });
  await row.waitFor();
  assert.match(await row.getAttribute("aria-label"), /running/);
  await shot("list");
  await page.keyboard.press("Control+B");
});

await step("a reload of the window leaves it running, and brings the page back", async () => {
  const before = stepOf(folder);
  // Without the file that the first address asks for, which would stand in the place of what was open. By the editor's own
  // command, as a person does it: it writes down what is open first, which a browser that goes elsewhere may cut short.
  await page.evaluate((url) => globalThis.history.replaceState(undefined, "", url), server.url());
  await Promise.all([page.waitForEvent("load"), runCommand(page, "Developer: Reload Window")]);
  frame = await webviewFrame(page, ".chart[data-metric=loss] canvas");
  await eventually(
    () => stepOf(folder),
    (it) => it > before,
  );
  assert.equal(processOf(folder).pid, pid);
});

await step("a hover answers meanwhile", async () => {
  await openFile("einstein.txt");
  await waitForText(page, "Einstein");
  const started = performance.now();
  const text = await hover(page, "Einstein", "L0");
  note(
    `hover while training: ${Math.round(performance.now() - started)} ms, model loaded meanwhile`,
  );
  assert.match(text, /resid2-6144/);
  assert.equal(processOf(folder)?.pid, pid, "the run ended too early to say anything");
});

await step("it is stopped, with a checkpoint", async () => {
  await runCommand(page, "Latent Workbench: Open Training Page");
  frame = await webviewFrame(page, ".header");
  await frame.getByRole("button", { name: "Stop" }).click();
  await frame.locator(".state.stopped").waitFor({ timeout: 180_000 });
  assert.equal(processOf(folder), undefined);
  assert.ok(readdirSync(join(folder, "checkpoints")).length > 0);
  await shot("stopped");
});

await step("it goes on from there, with progress that can be cancelled", async () => {
  const before = stepsDone(folder);
  assert.ok(before > 0);
  await frame.getByRole("button", { name: "Resume" }).click();
  const toast = page.locator(".notification-toast", { hasText: "Training batchtopk" });
  await toast.waitFor();
  await eventually(
    () => stepOf(folder),
    (it) => it > before,
  );
  assert.match(readFileSync(join(folder, "events.jsonl"), "utf8"), /"event":"resume"/);
  await shot("progress");
  await toast.getByRole("button", { name: "Cancel" }).click();
  await frame.locator(".state.stopped").waitFor({ timeout: 180_000 });
  note(`stopped again at step ${stepsDone(folder)}`);
});

await step("figures as tables, and no accessibility violations", async () => {
  await checkAccessibility();
  await frame.getByRole("button", { name: "Tables" }).click();
  await frame.locator("table[data-metric=fvu] tbody tr").nth(3).waitFor();
  await checkAccessibility();
  await frame.getByRole("button", { name: "Tables" }).click();
});

await step("when it is finished its SAE is offered", async () => {
  await runCommand(page, "Latent Workbench: Resume Run");
  await chooseRow(page, "batchtopk");
  await frame.locator(".state.finished").waitFor({ timeout: 400_000 });
  const toast = page.locator(".notification-toast", { hasText: "is finished" });
  await toast.getByRole("button", { name: "Use SAE" }).click();
  const { steps, state } = JSON.parse(readFileSync(join(folder, "result.json"), "utf8"));
  assert.equal(state, "finished");
  note(`${steps} steps`);
  await shot("finished");
});

await step("a hover shows its latents beside those of the others", async () => {
  const text = await hover(page, "Einstein", "batchtopk-resid_post-2-512");
  assert.match(text, /resid2-6144/);
  await shot("hover");
});

await step("a run file is trained from its code lens, beside itself", async () => {
  await openFile("widths.run.jsonc");
  await page.locator(".codelens-decoration a", { hasText: "Train" }).first().click();
  const sweep = join(runs, "widths");
  await eventually(() => existsSync(join(sweep, "result.json")), Boolean);
  assert.equal(JSON.parse(readFileSync(join(sweep, "result.json"), "utf8")).state, "finished");
  // The file was opened in front of the page, which made way and came back.
  for (let round = 1; ; round++) {
    try {
      frame = await webviewFrame(page, ".state.finished");
      await frame.locator("h1", { hasText: "widths" }).waitFor({ timeout: 60_000 });
      break;
    } catch (error) {
      // The frame of the page that made way is gone; the one that came back is another.
      if (round === 4) throw error;
    }
  }
  assert.equal(await frame.locator(".lines li").count(), 2);
  await shot("sweep");
});

await step("a run is deleted after asking", async () => {
  await runCommand(page, "Latent Workbench: Delete Run…");
  await chooseRow(page, "batchtopk");
  const dialog = page.locator(".monaco-dialog-box", { hasText: "Delete batchtopk" });
  await dialog.getByRole("button", { name: "Delete" }).click();
  await eventually(
    () => existsSync(folder),
    (it) => !it,
  );
});

await step("nothing left the machine", () => {
  assert.deepEqual(outside(), []);
  const { processes, left } = server.network();
  assert.ok(
    processes.some((it) => it.includes("dist/cli.js")),
    processes.join("; "),
  );
  assert.deepEqual(left, []);
});

await browser.close();
// A run outlives everything; one that a failed step left is ended here.
const rest = folder && existsSync(folder) ? processOf(folder) : undefined;
if (rest) process.kill(rest.pid, "SIGKILL");
await server.stop();
const own = report.end();
process.exitCode = gallery.status === 0 ? own : 1;

async function openFile(name) {
  await page.locator(".command-center .command-center-center").click();
  await page.locator(".quick-input-widget:visible input.input").fill(name);
  await chooseRow(page, name);
}

/** Waits for a question by its placeholder or prompt. */
async function question(text) {
  const widget = page.locator(".quick-input-widget:visible");
  await eventually(
    async () =>
      `${await widget.innerText()} ${await widget.locator("input.input").getAttribute("placeholder")}`,
    (it) => it.includes(text),
  );
}

async function answer(prompt, text) {
  await question(prompt);
  await page.locator(".quick-input-widget:visible input.input").fill(text);
  await page.keyboard.press("Enter");
}

async function lossShown() {
  const readout = frame.locator(".chart[data-metric=loss] .readout");
  const text = (await readout.count()) > 0 ? await readout.innerText() : "";
  return text === "–" ? "" : text;
}

/** What the chart of the loss looks like, as a short text that changes with it. */
function drawn() {
  return frame.evaluate(() => {
    const canvas = document.querySelector(".chart[data-metric=loss] canvas");
    return canvas ? canvas.toDataURL().slice(-400) : "";
  });
}

async function checkAccessibility() {
  const { violations } = await frame.evaluate(`${axe.source}; axe.run()`);
  assert.deepEqual(
    violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
    [],
  );
}

/** What the process that works on the run says; undefined when none does. */
function processOf(run) {
  const path = join(run, "process.json");
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

function stepOf(run) {
  return processOf(run)?.step ?? -1;
}

/** Steps done when the run ended last. */
function stepsDone(run) {
  return JSON.parse(readFileSync(join(run, "result.json"), "utf8")).step;
}
