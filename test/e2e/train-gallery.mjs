// The training page in its states, in a browser without VS Code: needs a build and Chromium, nothing else.
// Screenshots go to out/e2e/train-page-*.png. `node test/e2e/train-gallery.mjs`
import axe from "axe-core";
import assert from "node:assert/strict";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { eventually } from "./editor.mjs";
import { openPage } from "./gallery-page.mjs";
import { themes } from "./gallery-themes.mjs";
import { missingParts, outFolder, requireParts } from "./places.mjs";
import { newReport } from "./report.mjs";

requireParts("training page", missingParts({ workbench: false }));
const { browser, close } = await startBrowser();
const report = newReport("training page");

/** Opens the page, runs the checks, and fails on any error that the page itself had. */
async function look(title, fake, checks, options = {}) {
  await report.step(title, async () => {
    const opened = await openPage(browser, fake, { name: "train", width: 900, ...options });
    try {
      await checks(opened.page);
      const path = join(outFolder, `train-page-${title.replace(/\W+/g, "-")}.png`);
      await opened.page.screenshot({ path });
      assert.deepEqual(opened.errors, []);
    } finally {
      await opened.close();
    }
  });
}

for (const theme of Object.keys(themes)) {
  await look(
    `running, ${theme}`,
    fakeRuns(),
    async (page) => {
      await page.locator(".chart[data-metric=loss] canvas").waitFor();
      await page.getByLabel("Show sweep k8").check();
      await page.locator(".lines li").nth(1).waitFor();
      await checkAccessibility(page);
    },
    { theme },
  );
}

await look("curves move", fakeRuns(), async (page) => {
  const readout = page.locator(".chart[data-metric=loss] .readout");
  await readout.waitFor();
  const before = await readout.innerText();
  await page.evaluate(() => globalThis.sendEvent("changed", {}));
  await eventually(
    () => readout.innerText(),
    (it) => it !== before,
  );
});

const zoomed = fakeRuns();
await look("a dragged range is asked for", zoomed, async (page) => {
  const over = page.locator(".chart[data-metric=loss] .u-over");
  await page.locator(".chart[data-metric=loss] .readout", { hasText: /\d/ }).waitFor();
  const { x, y, width, height } = await over.boundingBox();
  await page.mouse.move(x + width / 4, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width / 2, y + height / 2, { steps: 4 });
  await page.mouse.up();
  await page.locator(".range").waitFor();
  const { fromStep, toStep } = zoomed.asked.at(-1);
  assert.ok(fromStep > 0 && toStep > fromStep, JSON.stringify({ fromStep, toStep }));
  await page.getByRole("button", { name: "All steps" }).click();
  await page.locator(".range").waitFor({ state: "detached" });
});

await look("tables", fakeRuns(), async (page) => {
  await page.getByRole("button", { name: "Tables" }).click();
  await page.locator("table[data-metric=fvu] tbody tr").nth(5).waitFor();
  await checkAccessibility(page);
});

await look("the table of runs is sorted", fakeRuns(), async (page) => {
  await page.locator(".runs").getByRole("button", { name: "FVU" }).click();
  const order = await page.locator(".runs tbody th").allInnerTexts();
  assert.deepEqual(order, ["topk-a", "sweep k16", "sweep k8", "broken"]);
});

const commanded = fakeRuns();
await look("commands are about the run that is shown", commanded, async (page) => {
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("button", { name: "broken" }).click();
  await page.locator(".state.failed", { hasText: "the disk is full" }).waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  await eventually(
    () => commanded.commands.map(({ command, folder }) => `${command} ${folder}`),
    (it) => it.join() === "stopRun /runs/topk-a,resumeRun /runs/broken",
  );
});

await look("narrow", fakeRuns(), (page) => page.locator(".chart").nth(5).waitFor(), { width: 320 });
await look("no runs", fakeRuns({ runs: [] }), async (page) => {
  await page.getByText("There is no run yet").waitFor();
  await checkAccessibility(page);
});
await look(
  "hostile names",
  fakeRuns({ name: "<img src=x onerror=window.hacked=1>" }),
  async (page) => {
    await page.locator("h1", { hasText: "<img" }).waitFor();
    assert.equal(await page.evaluate(() => window.hacked), undefined);
  },
);
await look("no server", failing(), (page) => page.getByText("no server").waitFor());

await close();
process.exitCode = report.end();

async function checkAccessibility(page) {
  const { violations } = await page.evaluate(`${axe.source}; axe.run()`);
  const found = violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  );
  assert.deepEqual(found, []);
}

function failing() {
  return { handlers: { start: () => ({ folder: "" }), runs: noServer, runCurves: noServer } };
}

function noServer() {
  throw new Error("no server");
}

/** A run that goes on with every question, a sweep, and one that failed. */
function fakeRuns({ name = "topk-a", runs } = {}) {
  const asked = [];
  const commands = [];
  let step = 400;
  const sae = (id, fvu, more = {}) => ({
    id,
    architecture: "topk",
    d_sae: 3072,
    options: {},
    last: { step, loss: 40 * fvu, fvu, l0: 16, dead: 12, lr: 3e-4, rowsPerSecond: 21_000 },
    ...more,
  });
  const list = () => [
    {
      folder: "/runs/topk-a",
      name,
      state: "running",
      text: `step ${step} of 1000`,
      resumable: false,
      step,
      steps: 1000,
      secondsLeft: 4000,
      lm: "/models/demo",
      hook: "blocks.2.hook_resid_post",
      saes: [sae("topk", 0.12)],
    },
    {
      folder: "/runs/sweep",
      name: "sweep",
      state: "finished",
      text: "1000 steps",
      resumable: false,
      step: 1000,
      steps: 1000,
      saes: [
        sae("k8", 0.31, { options: { k: 8 }, path: "/runs/sweep/sae/k8" }),
        sae("k16", 0.22, { options: { k: 16 }, path: "/runs/sweep/sae/k16" }),
      ],
    },
    {
      folder: "/runs/broken",
      name: "broken",
      state: "failed",
      text: "the disk is full",
      resumable: true,
      step: 10,
      steps: 1000,
      saes: [{ id: "topk", architecture: "topk", d_sae: 64, options: {} }],
    },
  ];
  const handlers = {
    start: () => ({ folder: "/runs/topk-a" }),
    runs: () => {
      step += 10;
      return { folder: "/runs", runs: runs ?? list() };
    },
    runCurves: (params) => {
      asked.push(params);
      const { fromStep = 0, toStep = step, points } = params;
      const last = Math.min(toStep, step);
      const count = Math.min(points, last - fromStep + 1);
      const steps = Array.from({ length: count }, (_, at) =>
        Math.round(fromStep + (at * (last - fromStep)) / Math.max(1, count - 1)),
      );
      const curve = (at) => steps.map((it) => at(it));
      return {
        steps,
        values: {
          loss: curve((it) => 200 * Math.exp(-it / 150) + 20 + Math.sin(it)),
          fvu: curve((it) => Math.exp(-it / 150) + 0.1),
          l0: curve(() => 16),
          dead: curve((it) => it >> 5),
          lr: curve((it) => 3e-4 * Math.min(1, it / 50)),
          rowsPerSecond: curve((it) => (it % 7 === 0 ? null : 21_000 + it)),
        },
        firstStep: 0,
        lastStep: step,
      };
    },
    runCommand: (params) => void commands.push(params),
  };
  return { handlers, asked, commands };
}
