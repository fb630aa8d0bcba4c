// The meta-SAE explorer and the stitching page in their states, in a browser without VS Code: needs a build and Chromium.
// Screenshots go to out/e2e/decoders-*.png. `node test/e2e/decoders-gallery.mjs`
import axe from "axe-core";
import assert from "node:assert/strict";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { fakeMeta, fakeStitching } from "./fake-decoders.mjs";
import { eventually } from "./editor.mjs";
import { openPage } from "./gallery-page.mjs";
import { themes } from "./gallery-themes.mjs";
import { missingParts, outFolder, requireParts } from "./places.mjs";
import { newReport } from "./report.mjs";

requireParts("pages about decoders", missingParts({ workbench: false }));
const { browser, close } = await startBrowser();
const report = newReport("pages about decoders");

/** Opens a page, runs the checks, and fails on any error that the page itself had. */
async function look(title, fake, checks, options) {
  await report.step(title, async () => {
    const opened = await openPage(browser, fake, { width: 1000, height: 1400, ...options });
    try {
      await checks(opened.page);
      const path = join(outFolder, `decoders-${title.replace(/\W+/g, "-")}.png`);
      await opened.page.screenshot({ path });
      assert.deepEqual(opened.errors, []);
    } finally {
      await opened.close();
    }
  });
}

for (const theme of Object.keys(themes)) {
  await look(
    `meta, ${theme}`,
    fakeMeta(),
    async (page) => {
      await page.locator(".members tbody tr").nth(3).waitFor();
      await page.locator(".members").getByRole("button", { name: "#2182" }).click();
      await page.locator(".breakdown tbody tr").nth(2).waitFor();
      await page.getByRole("button", { name: "Compare with narrow" }).click();
      await page.locator(".comparison").waitFor();
      await checkAccessibility(page);
    },
    { name: "meta", theme },
  );
  await look(
    `stitching, ${theme}`,
    fakeStitching(),
    async (page) => {
      await page.getByRole("button", { name: "Measure" }).click();
      await page.locator(".latents tbody tr").nth(3).waitFor();
      await checkAccessibility(page);
    },
    { name: "stitching", theme },
  );
}

const searched = fakeMeta();
await look(
  "meta, keyboard",
  searched,
  async (page) => {
    await page.getByRole("searchbox").fill("cities");
    await page.getByRole("status").filter({ hasText: "1 found" }).waitFor();
    await page.getByRole("searchbox").press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator("h2", { hasText: "#3" }).waitFor();
    await page.getByRole("button", { name: "Tables" }).click();
    await page.locator("table[data-chart]").nth(1).waitFor();
    await page.getByRole("button", { name: "Which decomposition helps?" }).press("Enter");
    await eventually(
      () => searched.opened,
      ([first]) => first === "decompositions",
    );
    await checkAccessibility(page);
  },
  { name: "meta" },
);

const brushed = fakeStitching();
await look(
  "stitching, brushed",
  brushed,
  async (page) => {
    await page.getByRole("button", { name: "Measure" }).click();
    const over = page.locator("[data-chart='Cosine against effect'] .u-over");
    const { x, y, width, height } = await over.boundingBox();
    await page.mouse.move(x + width / 4, y + height / 4);
    await page.mouse.down();
    await page.mouse.move(x + width / 2, y + (height * 3) / 4, { steps: 5 });
    await page.mouse.up();
    await page.locator(".brushed", { hasText: "with cosine from" }).waitFor();
    const { cosine, delta } = brushed.listed.at(-1);
    assert.ok(cosine[0] > 0 && cosine[1] < 1 && cosine[0] < cosine[1], String(cosine));
    assert.ok(delta[0] < delta[1], String(delta));
    await page.getByRole("button", { name: "Reconstruction by both" }).click();
    assert.deepEqual(brushed.listed.at(-1).cosine, [0.7, 2]);
    await page.getByRole("button", { name: "Tokens" }).click();
    await page.locator("th[aria-sort=ascending]", { hasText: "Tokens" }).waitFor();
    await page.getByRole("button", { name: "Path as a table" }).click();
    await page.locator(".path tbody tr").nth(5).waitFor();
    await page.getByRole("button", { name: "Write…" }).click();
    await page.getByRole("button", { name: "Use", exact: true }).click();
    await page.getByRole("button", { name: "In use" }).waitFor();
    await checkAccessibility(page);
  },
  { name: "stitching" },
);

const slow = fakeStitching({ slow: true });
await look(
  "stitching, measuring",
  slow,
  async (page) => {
    await page.getByRole("button", { name: "Measure" }).click();
    await page.getByText("walking from narrow to wide").waitFor();
    await checkAccessibility(page);
    await page.getByRole("button", { name: "Cancel" }).click();
  },
  { name: "stitching" },
);

for (const name of ["meta", "stitching"]) {
  await look(
    `${name}, no server`,
    { handlers: { start: () => ({}), metaPairs: noServer, stitchCandidates: noServer } },
    (page) => page.getByText("no server").waitFor(),
    { name },
  );
  await look(
    `${name}, narrow`,
    name === "meta" ? fakeMeta() : fakeStitching(),
    async (page) => {
      if (name === "meta") await page.locator(".members tbody tr").first().waitFor();
      else await page.getByRole("button", { name: "Measure" }).waitFor();
    },
    { name, width: 320, height: 900 },
  );
}

await look(
  "hostile labels",
  fakeMeta({ label: "<img src=x onerror=window.hacked=1>" }),
  async (page) => {
    await page.getByText("<img").first().waitFor();
    assert.equal(await page.evaluate(() => window.hacked), undefined);
  },
  { name: "meta" },
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
