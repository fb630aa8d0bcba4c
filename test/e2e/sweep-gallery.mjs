// The page about absorption over SAEs in its states, in a browser without VS Code: needs a build and Chromium.
// Screenshots go to out/e2e/sweep-*.png. `node test/e2e/sweep-gallery.mjs`
import axe from "axe-core";
import assert from "node:assert/strict";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { fakeSweepHost } from "./fake-sweep.mjs";
import { openPage } from "./gallery-page.mjs";
import { themes } from "./gallery-themes.mjs";
import { missingParts, outFolder, requireParts } from "./places.mjs";
import { newReport } from "./report.mjs";

requireParts("page about absorption over SAEs", missingParts({ workbench: false }));
const { browser, close } = await startBrowser();
const report = newReport("page about absorption over SAEs");

/** Opens the page, runs the checks, and fails on any error that the page itself had. */
async function look(title, fake, checks, options) {
  await report.step(title, async () => {
    const name = "sweep";
    const opened = await openPage(browser, fake, { name, width: 1100, height: 1300, ...options });
    try {
      await checks(opened.page);
      const path = join(outFolder, `sweep-${title.replace(/\W+/g, "-")}.png`);
      await opened.page.screenshot({ path });
      assert.deepEqual(opened.errors, []);
    } finally {
      await opened.close();
    }
  });
}

for (const theme of Object.keys(themes)) {
  await look(
    theme,
    fakeSweepHost({ folder: "/out" }),
    async (page) => {
      await page.getByRole("gridcell").first().waitFor();
      await page.getByRole("heading", { name: /By width and L0/ }).waitFor();
      await checkAccessibility(page);
    },
    { theme },
  );
}

await look("keyboard", fakeSweepHost(), async (page) => {
  await page.getByRole("button", { name: "Open Sweep Folder…" }).press("Enter");
  const cells = page.getByRole("gridcell");
  await cells.first().waitFor();
  assert.equal(await page.locator("[role=gridcell][tabindex='0']").count(), 1);
  await cells.first().focus();
  for (const key of ["ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowDown"])
    await page.keyboard.press(key);
  await page.locator(".cell", { hasText: "c at w1024-l18" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.dataset.place), "1 2");
  await page.keyboard.press("End");
  await page.locator(".cell", { hasText: "x at w1024-l18" }).waitFor();
  await page.keyboard.press("Home");
  // Seventh letter: no latents, so no figure, and the word absence is not called absorption.
  for (let step = 0; step < 6; step++) await page.keyboard.press("ArrowRight");
  await page.locator(".cell", { hasText: "no latent for it" }).waitFor();
  const seventh = page.locator("[data-place='1 6']");
  assert.match(await seventh.innerText(), /^–/);
  await page.getByLabel("cells show").selectOption("mainF1");
  assert.match(await seventh.innerText(), /^\d+$/);
  await checkAccessibility(page);
});

await look("measured here", fakeSweepHost(), async (page) => {
  await page.getByRole("button", { name: "Measure" }).click();
  await page.getByText("w1024-l18 could not be measured: its hook point").waitFor();
  const names = await page.locator(".figures tbody th").allInnerTexts();
  assert.deepEqual(names, ["w1024-l3", "w1024-l70"]);
  // Two SAEs of one width are no grid.
  assert.equal(await page.getByRole("heading", { name: /By width and L0/ }).count(), 0);
});

await look("measuring", fakeSweepHost({ slow: true }), async (page) => {
  await page.getByLabel("w1024-l18").uncheck();
  await page.getByRole("button", { name: "Measure" }).click();
  await page.getByText("reading word 40 of 80").waitFor();
  await checkAccessibility(page);
  await page.getByRole("button", { name: "Cancel" }).click();
});

await look("no sweep there", fakeSweepHost({ folder: "/nothing" }), async (page) => {
  await page.getByText("holds no sweep.json").waitFor();
  await page.getByRole("button", { name: "Measure" }).waitFor();
  await page.getByText("holds no sweep.json").waitFor();
});

await look(
  "narrow",
  fakeSweepHost({ folder: "/out", hostile: "<img src=x onerror=window.hacked=1>\u202e" }),
  async (page) => {
    await page.getByText("<img").first().waitFor();
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 320, `the page is ${width} wide`);
  },
  { width: 320 },
);

await close();
process.exitCode = report.end();

async function checkAccessibility(page) {
  const { violations } = await page.evaluate(`${axe.source}; axe.run()`);
  const found = violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  );
  assert.deepEqual(found, []);
}
