// The absorption page in its states, in a browser without VS Code: needs a build and Chromium.
// Screenshots go to out/e2e/absorption-*.png. `node test/e2e/absorption-gallery.mjs`
import axe from "axe-core";
import assert from "node:assert/strict";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { eventually } from "./editor.mjs";
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
      await page.getByRole("button", { name: "Find" }).click();
      await page.locator(".place").nth(1).click();
      await page.getByRole("region", { name: "Projection in the text" }).waitFor();
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
  await eventually(
    () => found.revealed,
    ([first]) => first?.startOffset === 4300,
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

for (const theme of Object.keys(themes)) {
  const fake = fakeAbsorption();
  await look(
    `causal rule ${theme}`,
    fake,
    async (page) => {
      await page.getByRole("button", { name: "Measure" }).press("Enter");
      await page.getByLabel("words of a label, at most").fill("20");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      await page.locator(".effects tbody tr").first().waitFor();
      assert.deepEqual(fake.causallyAsked, [
        { sae: "resid2-6144-k2", labels: "first-letter", words: 20 },
      ]);
      // The absorbed word is looked at first; each step says its figure, with a minus as long as a plus.
      const steps = await page.locator(".steps li").allInnerTexts();
      assert.equal(steps.length, 5);
      assert.match(steps[0], /^yes: .*misses it \(score −1\.25\)/);
      assert.match(steps[2], /^yes: removing the first latent lowers .*#5982, score −4\.72/);
      assert.match(steps[4], /^yes: .*cosine 0\.418, at least 0\.025/);
      const effects = await page.locator(".effects tbody tr").allInnerTexts();
      assert.equal(effects.length, 6);
      assert.match(effects[0], /main latents.*−1\.973.*−2\.073 … −1\.873.*443/s);
      await page.getByLabel("effects of removal, over").selectOption("label");
      assert.equal(await page.locator(".effects tbody tr").count(), 3);
      const judged = page.getByRole("region", { name: "Words judged by their effects" });
      await judged.getByRole("button", { name: "few" }).press("Enter");
      const partial = await page.locator(".steps li").allInnerTexts();
      assert.equal(partial.length, 6);
      assert.match(partial[1], /^no: main latents are silent \(activations sum to 55\.10\)/);
      assert.match(partial[2], /^yes: for absorption in part.*at most −0\.1 \(−0\.62\)/);
      await page.getByText("Prompt", { exact: true }).click();
      // A label that the rule was not asked about.
      await page.locator(".labels").getByRole("button", { name: "q" }).press("Enter");
      await page.getByText("was not judged by this rule").waitFor();
      await page.locator(".labels").getByRole("button", { name: "f", exact: true }).press("Enter");
      await page
        .getByRole("heading", { name: "By the paper's causal rule" })
        .scrollIntoViewIfNeeded();
      const hyphens = await page.evaluate(() => document.body.innerText.match(/(^|\s)-\d/g));
      assert.equal(hyphens, null);
      await checkAccessibility(page);
    },
    { theme, height: 1900 },
  );
}

await look("causal rule under way", fakeAbsorption({ slowCausal: true }), async (page) => {
  await page.getByRole("button", { name: "Measure" }).click();
  await page.getByRole("button", { name: "Judge by effects" }).click();
  await page.getByText("resid2-6144-k2: encoding").waitFor();
  await checkAccessibility(page);
  await page.getByRole("button", { name: "Cancel judging" }).click();
});

await look("causal rule in running text", fakeAbsorption(), async (page) => {
  await page.getByLabel("words in").selectOption("text");
  await page.getByRole("button", { name: "Measure" }).click();
  await page.getByText("running text asks nothing").waitFor();
  assert.equal(await page.getByRole("button", { name: "Judge by effects" }).count(), 0);
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
    await page.getByRole("button", { name: "Judge by effects" }).click();
    await page.locator(".prompt", { hasText: "<img" }).waitFor({ state: "attached" });
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
