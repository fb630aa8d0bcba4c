// The pages that compare texts in their states, in a browser without VS Code: needs a build and Chromium, nothing else.
// Screenshots go to out/e2e/comparison-page-*.png. `node test/e2e/comparison-gallery.mjs`
import axe from "axe-core";
import assert from "node:assert/strict";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { fakeComparison, fakeMap } from "./fake-comparison.mjs";
import { openPage } from "./gallery-page.mjs";
import { themes } from "./gallery-themes.mjs";
import { missingParts, outFolder, requireParts } from "./places.mjs";
import { newReport } from "./report.mjs";

requireParts("comparison pages", missingParts({ workbench: false }));
const { browser, close } = await startBrowser();
const report = newReport("comparison pages");
const hostile = "<img src=x onerror=window.hacked=1>\u202e";

/** Opens a page, runs the checks, and fails on any error that the page itself had. */
async function look(name, title, fake, checks, options = {}) {
  await report.step(`${name}: ${title}`, async () => {
    const opened = await openPage(browser, fake, { name, width: 860, ...options });
    try {
      await checks(opened.page);
      const path = join(outFolder, `${name}-page-${title.replace(/\W+/g, "-")}.png`);
      await opened.page.screenshot({ path, fullPage: true });
      assert.deepEqual(opened.errors, []);
    } finally {
      await opened.close();
    }
  });
}

for (const theme of Object.keys(themes)) {
  await look(
    "comparison",
    `answer, ${theme}`,
    fakeComparison(),
    async (page) => {
      await page.getByRole("button", { name: /^ ?today, in both texts, changes by 31.4/ }).click();
      await page.getByText("“ today”: 31.4 in all").waitFor();
      await checkAccessibility(page);
    },
    { theme },
  );
  await look(
    "counterfactual",
    `map, ${theme}`,
    fakeMap(),
    async (page) => {
      await page
        .getByRole("button", { name: "without sentence 1, in sentence 2: 0.300" })
        .waitFor();
      await checkAccessibility(page);
    },
    { theme },
  );
}

const texts = fakeComparison();
await look("comparison", "folded, unfolded, of one kind, asked anew", texts, async (page) => {
  await page.getByRole("button", { name: /tokens, nothing changes/ }).click();
  await page.getByRole("button", { name: /^ ?word3, in both texts/ }).waitFor();
  await page.getByLabel("Latents that").selectOption("appears");
  const rows = page.locator("table tbody tr");
  assert.equal(await rows.count(), 1);
  await rows.getByRole("button", { name: "#1813" }).click();
  await page.getByRole("button", { name: /^ ?cold, in the first alone/ }).click();
  await page.getByText("“ cold” is in the first text alone").waitFor();
  assert.deepEqual(texts.told, [
    { sae: "resid2-6144", latent: 1813 },
    { text: 0, startOffset: 126, endOffset: 132 },
  ]);
  await page.getByLabel("Tokens that count").selectOption("shared");
  await page.getByLabel("Context").selectOption("1");
  await page.getByLabel("SAE").selectOption("resid2-1024");
  assert.deepEqual(
    texts.asked.slice(1).map(({ tokens, pair, sae }) => [tokens, pair, sae]),
    [
      ["shared", undefined, undefined],
      ["shared", 1, undefined],
      ["shared", 1, "resid2-1024"],
    ],
  );
});

const map = fakeMap();
await look("counterfactual", "cells by keys and by mouse", map, async (page) => {
  const chosen = page.locator(".cell[aria-pressed=true]");
  await page.getByText("Without sentence 1, in sentence 2").waitFor();
  await chosen.focus();
  await page.keyboard.press("ArrowRight");
  await page.getByText("Without sentence 1, in sentence 3").waitFor();
  await page.keyboard.press("ArrowDown");
  await page.getByText("Without sentence 2, in sentence 3").waitFor();
  // Below the diagonal is nothing.
  await page.keyboard.press("ArrowDown");
  assert.match(await chosen.getAttribute("aria-label"), /^without sentence 2, in sentence 3/);
  assert.equal(await page.evaluate(() => document.activeElement?.className.includes("cell")), true);
  await page.getByRole("button", { name: /^without sentence 4, in sentence 5/ }).click();
  await page.getByRole("button", { name: "#304" }).click();
  await page.getByRole("button", { name: "It rained." }).click();
  assert.deepEqual(map.told, [
    { sae: "resid2-6144", latent: 304 },
    { text: 0, startOffset: 60, endOffset: 69 },
  ]);
  await page.getByLabel("Context").selectOption("1");
  assert.equal(map.asked.at(-1).context, 1);
});

for (const [name, fake] of [
  ["comparison", fakeComparison({ slow: true })],
  ["counterfactual", fakeMap({ slow: true })],
])
  await look(name, "working", fake, async (page) => {
    await page.getByText("starting").waitFor();
    await page.evaluate(() =>
      globalThis.sendEvent("progress", { text: "reading the second text", percentage: 50 }),
    );
    await page.getByText("reading the second text…").waitFor();
    await checkAccessibility(page);
    await page.getByRole("button", { name: "Cancel" }).waitFor();
  });

for (const [name, fake] of [
  ["comparison", fakeComparison({ label: hostile })],
  ["counterfactual", fakeMap({ label: hostile })],
])
  await look(
    name,
    "hostile texts, narrow",
    fake,
    async (page) => {
      await page.getByText("<img src=x").first().waitFor();
      assert.equal(await page.evaluate(() => window.hacked), undefined);
      assert.ok(!(await page.locator("body").innerText()).includes("\u202e"));
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
