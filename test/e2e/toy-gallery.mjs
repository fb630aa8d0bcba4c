// The page "Toy Models" in its states, in a browser without VS Code: needs a build and Chromium, nothing else.
// Its answers are those of `latent-workbench toy`. Screenshots go to out/e2e/toy-page-*.png. `node test/e2e/toy-gallery.mjs`
import axe from "axe-core";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { eventually } from "./editor.mjs";
import { openPage } from "./gallery-page.mjs";
import { themes } from "./gallery-themes.mjs";
import { missingParts, outFolder, repoRoot, requireParts } from "./places.mjs";
import { newReport } from "./report.mjs";

requireParts("toy page", missingParts({ workbench: false }));
const { browser, close } = await startBrowser();
const report = newReport("toy page");
const absorbed = toy("--steps", "600");
const faithful = toy("--steps", "600", "--hierarchy", "0");

/** Opens the page, runs the checks, and fails on any error that the page itself had. */
async function look(title, fake, checks, options = {}) {
  await report.step(title, async () => {
    const opened = await openPage(browser, fake, {
      name: "toy",
      width: 1000,
      height: 1400,
      ...options,
    });
    try {
      await checks(opened.page);
      const path = join(outFolder, `toy-page-${title.replace(/\W+/g, "-")}.png`);
      await opened.page.screenshot({ path });
      assert.deepEqual(opened.errors, []);
    } finally {
      await opened.close();
    }
  });
}

for (const theme of Object.keys(themes)) {
  const fake = fakeToys();
  await look(
    `two results, ${theme}`,
    fake,
    async (page) => {
      await train(page, 1);
      await page.getByRole("slider", { name: "Hierarchy" }).fill("0");
      await train(page, 2);
      const shown = await page.locator(".summary tbody td:nth-child(4)").allInnerTexts();
      assert.deepEqual(shown, [percent(absorbed), percent(faithful)]);
      assert.notEqual(shown[0], shown[1]);
      assert.deepEqual(
        fake.asked.map(({ hierarchy }) => hierarchy),
        [1, 0],
      );
      await checkAccessibility(page);
    },
    { theme },
  );
}

await look("tables", fakeToys(), async (page) => {
  await train(page, 1);
  await page.getByRole("button", { name: "Tables" }).click();
  const own = await page.locator(".card .figures").first().locator("td", { hasText: "*" }).count();
  assert.equal(own, 12);
  await checkAccessibility(page);
});

const keyed = fakeToys();
await look("by keyboard alone", keyed, async (page) => {
  await page.getByRole("slider", { name: "L1 penalty" }).focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  await page.getByLabel("Architecture").focus();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Train" }).focus();
  await page.keyboard.press("Enter");
  await page.locator(".card").nth(0).waitFor();
  assert.equal(keyed.asked[0].l1, 0.2);
  assert.equal(keyed.asked[0].tied, true);
});

const series = fakeToys();
await look("a series varies one knob", series, async (page) => {
  await page.getByLabel("What to run").selectOption("coOccurrence");
  await train(page, 4);
  assert.deepEqual(
    series.asked.map(({ coOccurrence }) => coOccurrence),
    [0, 0.5, 0.9, 1],
  );
});

const architectures = fakeToys();
await look("knobs are those of the architecture", architectures, async (page) => {
  await page.getByLabel("Architecture").selectOption("matryoshka");
  await page.getByRole("slider", { name: "L1 penalty" }).waitFor({ state: "detached" });
  await page.getByRole("slider", { name: "k", exact: true }).fill("2");
  await page.getByRole("slider", { name: "Adversarial meta-SAE" }).fill("3");
  await train(page, 1);
  const { architecture, k, l1, adversary, latents } = architectures.asked[0];
  assert.deepEqual(
    { architecture, k, l1, adversary, latents },
    { architecture: "matryoshka", k: 2, l1: undefined, adversary: 0.1, latents: 12 },
  );
});

await look("progress, and a run that is cancelled", waiting(), async (page) => {
  await page.getByRole("button", { name: "Train" }).click();
  await page.evaluate(() =>
    globalThis.sendEvent("progress", { text: "step 500 of 2000, loss 0.3", fraction: 0.25 }),
  );
  await page.getByRole("status").getByText("step 500 of 2000").waitFor();
  const share = await page.locator("progress").evaluate((it) => it.value);
  assert.equal(share, 0.25);
  await checkAccessibility(page);
});

await look("results come back after a reload", fakeToys(), async (page) => {
  await train(page, 1);
  const { kept } = await page.evaluate(() => globalThis.savedState);
  assert.equal(kept.length, 1);
  await page.getByRole("button", { name: /^Remove 1/ }).click();
  await eventually(
    () => page.locator(".card").count(),
    (it) => it === 0,
  );
});

await look("a refusal", refusing(), async (page) => {
  await page.getByRole("button", { name: "Train" }).click();
  await page.getByRole("alert").getByText("too often to take turns").waitFor();
});

await look("narrow", fakeToys(), (page) => train(page, 1), { width: 340 });

await close();
process.exitCode = report.end();

/** Presses the button and waits for so many results. */
async function train(page, results) {
  await page.getByRole("button", { name: "Train" }).click();
  await page
    .locator(".card")
    .nth(results - 1)
    .waitFor();
  await page.getByRole("button", { name: "Train" }).waitFor();
}

async function checkAccessibility(page) {
  const { violations } = await page.evaluate(`${axe.source}; axe.run()`);
  const found = violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  );
  assert.deepEqual(found, []);
}

function toy(...options) {
  const program = join(repoRoot, "dist/cli.js");
  return JSON.parse(execFileSync(process.execPath, [program, "toy", "--json", ...options]));
}

function percent({ absorption: { absorbed: share } }) {
  return share === null ? "–" : `${Math.round(100 * share)} %`;
}

/** Answers by whether there is a hierarchy. */
function fakeToys() {
  const asked = [];
  const runToy = (knobs) => {
    asked.push(knobs);
    return knobs.hierarchy === 0 ? faithful : absorbed;
  };
  return { handlers: { runToy }, asked };
}

function waiting() {
  return { handlers: { runToy: () => new Promise(() => {}) } };
}

function refusing() {
  return {
    handlers: {
      runToy: () => {
        throw new Error("feature 5 is active too often to take turns");
      },
    },
  };
}
