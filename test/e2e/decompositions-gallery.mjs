// The page about levels of decomposition in its states, in a browser without VS Code: needs a build and Chromium.
// Screenshots go to out/e2e/decompositions-*.png. `node test/e2e/decompositions-gallery.mjs`
import axe from "axe-core";
import assert from "node:assert/strict";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { openPage } from "./gallery-page.mjs";
import { themes } from "./gallery-themes.mjs";
import { missingParts, outFolder, requireParts } from "./places.mjs";
import { newReport } from "./report.mjs";

requireParts("page about decompositions", missingParts({ workbench: false }));
const { browser, close } = await startBrowser();
const report = newReport("page about decompositions");

/** Answers of a language server that never was. */
function fake({ slow = false, name = "resid2-6144-k2" } = {}) {
  const asked = [];
  const level = { sae: name, latents: 6144, l0: 2, fvu: 0.31, bits: 41, f1: [0.78, 0.8, 0.8, 0.8] };
  const levels = [
    level,
    { ...level, meta: "meta-512", latents: 512, l0: 7.4, fvu: 0.5, bits: 126 },
    { ...level, meta: "meta-64", through: ["meta-512"], latents: 64, l0: 16.9, bits: 237 },
  ];
  const labels = [
    repaired("f", [
      { absorber: 5982, part: 17, cosine: 0.31 },
      { absorber: 2950, part: undefined, cosine: 0 },
    ]),
    repaired("h", []),
  ];
  const handlers = {
    start: () => ({}),
    decompositionChoices: () => ({
      lm: "demo",
      candidates: [
        candidate(name, "batchtopk, 6144 latents, blocks.2.hook_resid_post"),
        candidate("meta-512", "batchtopk, 512 latents, resid2-6144"),
      ],
      tasks: [{ name: "first-letter", labels: "first-letter", detail: "" }],
    }),
    compareLevels: (params) => {
      asked.push(params);
      return slow ? new Promise(() => {}) : { schemaVersion: 1, task: "t", valueBits: 8, levels };
    },
    tryRepair: () => ({ schemaVersion: 1, task: "t", sae: name, meta: "meta-512", labels }),
    decompositionProgress: () => ({ share: 0.6, text: `${name}: latents` }),
    pickTexts: () => ["/texts/a.txt"],
  };
  return { handlers, asked };
}

function candidate(id, detail) {
  return { id, path: `/saes/${id}`, detail, chosen: true };
}

/** A label with its absorbers, which repair finds at the price of precision. */
function repaired(label, parts) {
  return {
    label,
    parts,
    main: [1527],
    before: { precision: 0.97, recall: 0.82, f1: 0.89 },
    after: { precision: 0.3, recall: 0.93, f1: 0.45 },
    control: { precision: 0.28, recall: 0.9, f1: 0.43 },
  };
}

/** Opens the page, runs the checks, and fails on any error that the page itself had. */
async function look(title, given, checks, options) {
  await report.step(title, async () => {
    const name = "decompositions";
    const opened = await openPage(browser, given, { name, width: 1100, height: 900, ...options });
    try {
      await checks(opened.page);
      const path = join(outFolder, `decompositions-${title.replace(/\W+/g, "-")}.png`);
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
    fake(),
    async (page) => {
      await page.getByRole("button", { name: "Compare" }).click();
      await page.getByText("For this task: resid2-6144-k2 (best single latents").waitFor();
      await page.getByLabel("absorption of").selectOption("/saes/resid2-6144-k2");
      await page.getByLabel("through meta-SAE").selectOption("/saes/meta-512");
      await page.getByRole("button", { name: "Try repair" }).click();
      await page.getByText("repair does not help: over 1 label").waitFor();
      await checkAccessibility(page);
    },
    { theme },
  );
}

const ticked = fake();
await look("keyboard", ticked, async (page) => {
  const box = page.getByRole("checkbox", { name: /meta-512/ });
  await box.focus();
  await page.keyboard.press("Space");
  assert.equal(await box.isChecked(), false);
  await page.getByRole("button", { name: "Compare" }).press("Enter");
  const rows = page.locator(".levels tbody tr");
  await rows.first().waitFor();
  assert.deepEqual(ticked.asked[0].paths, ["/saes/resid2-6144-k2"]);
  assert.match(
    await rows.nth(2).innerText(),
    /meta-64 of meta-512 of resid2-6144-k2.*64.*16\.9.*237/s,
  );
  assert.equal(await page.getByRole("button", { name: "Try repair" }).isDisabled(), true);
});

await look("comparing", fake({ slow: true }), async (page) => {
  await page.getByLabel("words in").selectOption("text");
  await page.getByRole("button", { name: "Texts…" }).click();
  await page.getByText("a.txt").waitFor();
  await page.getByRole("button", { name: "Compare" }).click();
  await page.getByText("resid2-6144-k2: latents…").waitFor();
  await checkAccessibility(page);
  await page.getByRole("button", { name: "Cancel" }).click();
});

const failing = { start: () => ({}), decompositionChoices: noServer };
await look("no server", { handlers: failing }, (page) => page.getByText("no server").waitFor());

const hostile = "<img src=x onerror=window.hacked=1>";
await look(
  "narrow",
  fake({ name: hostile }),
  async (page) => {
    await page.getByRole("button", { name: "Compare" }).click();
    await page.locator(".levels", { hasText: "<img" }).waitFor();
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

function noServer() {
  throw new Error("no server");
}
