// The absorption page in its states, in a browser without VS Code: needs a build and Chromium.
// Screenshots go to out/e2e/absorption-*.png. `node test/e2e/absorption-gallery.mjs`
import axe from "axe-core";
import assert from "node:assert/strict";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { fakeAbsorption } from "./fake-absorption.mjs";
import { openPage } from "./gallery-page.mjs";
import { themes } from "./gallery-themes.mjs";
import { missingParts, outFolder, requireParts } from "./places.mjs";
import { newReport } from "./report.mjs";

requireParts("absorption page", missingParts({ workbench: false }));
const { browser, close } = await startBrowser();
const report = newReport("absorption page");

/** Opens the page, runs the checks, and fails on any error that the page itself had. */
async function look(title, fake, checks, options) {
  await report.step(title, async () => {
    const name = "absorption";
    const opened = await openPage(browser, fake, { name, width: 1100, height: 900, ...options });
    try {
      await checks(opened.page);
      const path = join(outFolder, `absorption-${title.replace(/\W+/g, "-")}.png`);
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
    fakeAbsorption(),
    async (page) => {
      await page.getByRole("button", { name: "Measure" }).click();
      await page.locator(".split tfoot").waitFor();
      await checkAccessibility(page);
    },
    { theme },
  );
}

await look("keyboard", fakeAbsorption(), async (page) => {
  await page.getByRole("button", { name: "Measure" }).press("Enter");
  // The label whose words are absorbed most is looked at first, and its most absorbed word.
  await page.getByRole("heading", { name: "f", exact: true }).waitFor();
  await page.locator(".split caption", { hasText: "for" }).waitFor();
  const split = await page.locator(".split tbody tr").allInnerTexts();
  assert.match(split[0], /#5982.*\+60\.100.*83\.5 %/s);
  assert.match(split[1], /#4 no label.*−2\.000/s);
  assert.match(split[2], /main latents.*\+0\.000/s);
  assert.match(split[3], /other latents, bias and error.*\+13\.900/s);
  await page.locator(".words").getByRole("button", { name: "found" }).focus();
  await page.keyboard.press("Enter");
  await page.locator(".split caption", { hasText: "found" }).waitFor();
  await page.locator(".labels").getByRole("button", { name: "q" }).focus();
  await page.keyboard.press("Enter");
  await page.getByText("absence, not absorption").waitFor();
  const verdicts = await page.locator(".words tbody td:nth-child(2)").allInnerTexts();
  assert.deepEqual([...new Set(verdicts)], ["no latent"]);
  await checkAccessibility(page);
});

const found = fakeAbsorption();
await look("places", found, async (page) => {
  await page.getByRole("button", { name: "Measure" }).press("Enter");
  const sought = page.getByLabel("places of");
  await sought.waitFor();
  await sought.focus();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByText("712 places (14 files read), the first 2 are listed").waitFor();
  await page.locator("details", { hasText: "1 file left out" }).waitFor();
  await page.keyboard.press("Tab");
  // A scrolling list takes the focus in some browsers.
  await page.locator(".place").first().focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await page.locator(".split caption", { hasText: "“ for”" }).waitFor();
  assert.deepEqual(
    found.revealed.map((it) => it.startOffset),
    [4300],
  );
  const [first, second] = await page.locator(".place").allInnerTexts();
  assert.match(first, /prompts\/absorbed\.prompt\.md:44.*for.*absorbed/s);
  assert.match(second, /:52.*found.*fires/s);
  await checkAccessibility(page);
});

const absorbed = {
  uri: "file:///demo/prompts/absorbed.prompt.md",
  startOffset: 4300,
  sae: "resid2-6144-k2",
  task: "first-letter",
  setting: "prompts",
  label: "f",
};
const opened = fakeAbsorption({ start: { uri: absorbed.uri, absorbed } });
await look("a case from a text", opened, async (page) => {
  await page.locator(".place[aria-current=true]", { hasText: "for" }).waitFor();
  await page.getByRole("heading", { name: "f", exact: true }).waitFor();
  assert.deepEqual(opened.revealed, []);
  await checkAccessibility(page);
});

await look("measuring", fakeAbsorption({ slow: true }), async (page) => {
  await page.getByLabel("words in").selectOption("text");
  await page.getByRole("button", { name: "Texts…" }).click();
  await page.getByText("a.txt").waitFor();
  await page.getByRole("button", { name: "Measure" }).click();
  await page.getByText("resid2-6144-k2: encoding").waitFor();
  await checkAccessibility(page);
  await page.getByRole("button", { name: "Cancel" }).click();
});

await look("no server", { handlers: { start: () => ({}), absorptionChoices: noServer } }, (page) =>
  page.getByText("no server").waitFor(),
);

await look(
  "narrow",
  fakeAbsorption({ label: "<img src=x onerror=window.hacked=1>" }),
  async (page) => {
    await page.getByRole("button", { name: "Measure" }).click();
    await page.getByText("<img").first().waitFor();
    await page.getByRole("button", { name: "Find" }).click();
    await page.locator(".place", { hasText: "<img" }).first().waitFor();
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
