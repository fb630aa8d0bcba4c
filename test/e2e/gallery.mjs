// The text page in all its states, in a browser without VS Code: needs a build and Chromium, nothing else.
// Screenshots go to out/e2e/page-*.png. `node test/e2e/gallery.mjs`
import axe from "axe-core";
import assert from "node:assert/strict";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { eventually } from "./editor.mjs";
import { fakePages, hostileTexts } from "./fake-pages.mjs";
import { openPage } from "./gallery-page.mjs";
import { themes } from "./gallery-themes.mjs";
import { missingParts, outFolder, requireParts } from "./places.mjs";
import { newReport } from "./report.mjs";

requireParts("text page", missingParts({ workbench: false }));
const { browser, close } = await startBrowser();
const report = newReport("text page");
const never = () => new Promise(() => {});

/** Opens a page, runs the checks, and fails on any error that the page itself had. */
async function look(title, fake, checks, options = {}) {
  await report.step(title, async () => {
    const opened = await openPage(browser, fake, options);
    try {
      await checks(opened.page);
      await opened.page.screenshot({
        path: join(outFolder, `page-${title.replace(/\W+/g, "-")}.png`),
      });
      assert.deepEqual(opened.errors, []);
    } finally {
      await opened.close();
    }
  });
}

async function checkAccessibility(page) {
  const { violations } = await page.evaluate(`${axe.source}; axe.run()`);
  const found = violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  );
  assert.deepEqual(found, []);
}

const tokens = (page) => page.locator(".strip [role=option]");
const focused = (page) => page.evaluate(() => Number(document.activeElement?.dataset.index ?? -1));

for (const theme of Object.keys(themes)) {
  await look(
    `ready, ${theme}`,
    fakePages(),
    async (page) => {
      await tokens(page).nth(3).click();
      await page.locator(".latents tr").nth(5).waitFor();
      await page.getByRole("button", { name: "Show next tokens" }).click();
      await page.locator(".next li").first().waitFor();
      await checkAccessibility(page);
    },
    { theme },
  );
}
await look("ready, wide", fakePages(), (page) => tokens(page).nth(3).click(), { width: 1200 });

await look("click selects in the editor", fakePages(), async (page) => {
  await tokens(page).nth(4).click();
  await page.locator(".card h2", { hasText: "born" }).waitFor();
  assert.equal(await tokens(page).nth(4).getAttribute("aria-selected"), "true");
});

const revealing = fakePages();
await look("keyboard", revealing, async (page) => {
  await tokens(page).nth(2).click();
  await page.keyboard.press("ArrowRight");
  await eventually(
    () => focused(page),
    (index) => index === 3,
  );
  await page.keyboard.press("ArrowLeft");
  await eventually(
    () => focused(page),
    (index) => index === 2,
  );
  await page.keyboard.press("ArrowDown");
  const below = await eventually(
    () => focused(page),
    (index) => index > 5,
  );
  await page.keyboard.press("ArrowUp");
  await eventually(
    () => focused(page),
    (index) => index < below,
  );
  await page.keyboard.press("Control+End");
  await eventually(
    () => focused(page),
    (index) => index === 119,
  );
  await page.keyboard.press("Home");
  const start = await eventually(
    () => focused(page),
    (index) => index < 119,
  );
  await page.keyboard.press("End");
  await eventually(
    () => focused(page),
    (index) => index > start,
  );
  await page.keyboard.press("Control+Home");
  await eventually(
    () => focused(page),
    (index) => index === 0,
  );
  await page.locator(".card h2", { hasText: "endoftext" }).waitFor();
  assert.equal(await page.locator(".strip [tabindex='0']").count(), 1, "one tab stop in the strip");
});
await report.step("keyboard moves selected in the editor", async () => {
  assert.deepEqual(revealing.revealed[0], {
    uri: revealing.overview.uri,
    startOffset: 10,
    endOffset: 15,
  });
  assert.ok(revealing.revealed.length >= 6, `only ${revealing.revealed.length} calls of reveal`);
});

const long = fakePages({ tokens: 50_000 });
let largestRange = 0;
const askTokens = long.handlers.tokens;
long.handlers.tokens = (params) => {
  largestRange = Math.max(largestRange, params.to - params.from);
  return askTokens(params);
};
await look("50,000 tokens", long, async (page) => {
  await tokens(page).first().waitFor();
  const count = async () => tokens(page).count();
  assert.ok((await count()) < 2500, `${await count()} tokens are drawn at once`);
  await tokens(page).nth(1).click();
  await page.keyboard.press("Control+End");
  await eventually(
    () => focused(page),
    (index) => index === 49_999,
  );
  assert.ok((await count()) < 2500, `${await count()} tokens are drawn at the end`);
  assert.ok(largestRange <= 100, `${largestRange} tokens were asked at once`);
  await page.evaluate(() => globalThis.sendEvent("selection", { context: 0, index: 25_000 }));
  await page.locator('[data-index="25000"][aria-selected=true]').waitFor();
  const box = await page.locator('[data-index="25000"]').boundingBox();
  assert.ok(box.y > 0 && box.y < 900, `token 25,000 is at ${box.y} px`);
});

await look("hostile texts", fakePages({ texts: hostileTexts, tokens: 12 }), async (page) => {
  await tokens(page).nth(3).click();
  await page.locator(".latents tr").nth(5).waitFor();
  assert.equal(await page.evaluate(() => globalThis.hacked), undefined);
  assert.equal(await page.locator("#page img, #page script").count(), 0);
  assert.equal(await tokens(page).nth(1).innerText(), hostileTexts[0]);
  assert.match(await tokens(page).nth(3).innerText(), /⟨U\+202E⟩gnirts⟨U\+202C⟩/);
  assert.equal(await tokens(page).nth(5).innerText(), "∅");
});

const pinning = fakePages();
await look("pin", pinning, async (page) => {
  await tokens(page).nth(3).click();
  await page.locator(".latents button").first().click();
  await page.locator(".latents button[aria-pressed=true]").waitFor();
  assert.equal(pinning.pinned.length, 1);
  await eventually(
    () => page.getByLabel("Heat").inputValue(),
    (mode) => mode === "pinned",
  );
  await page.locator(".latents button").nth(1).click();
  await page.locator(".pin-scale").nth(1).waitFor();
  assert.equal(await page.locator(".pin-scale").count(), 2);
  const colour = (pin) =>
    page
      .locator(`.strip .heat5.pin${pin}`)
      .first()
      .evaluate((it) => getComputedStyle(it).backgroundColor);
  assert.notEqual(await colour(1), await colour(2));
  await checkAccessibility(page);
});

await look("all latents on demand", fakePages(), async (page) => {
  await tokens(page).nth(3).click();
  await page.getByRole("button", { name: "Show all 16 active latents" }).click();
  await page.locator(".latents tbody tr").nth(15).waitFor();
});

const several = {
  contexts: [0, 1, 2].map((index) => ({ index, title: `message ${index}`, tokens: 120 })),
};
await look("contexts", fakePages({ change: several }), async (page) => {
  await page.getByLabel("Context").selectOption("2");
  await tokens(page).first().waitFor();
  await page.evaluate(() => globalThis.sendEvent("selection", { context: 1, index: 7 }));
  await page.locator('[data-index="7"][aria-selected=true]').waitFor();
  assert.equal(await page.getByLabel("Context").inputValue(), "1");
});

const growing = fakePages();
await look("live update", growing, async (page) => {
  await tokens(page).nth(119).waitFor();
  growing.overview.state = "working";
  growing.overview.contexts = [{ index: 0, title: "", tokens: 0 }];
  await page.evaluate(() => globalThis.sendEvent("changed", {}));
  await page.locator(".toolbar .progress").waitFor();
  assert.equal(await tokens(page).count(), 120, "the old tokens stay while the new are read");
  growing.overview.state = "ready";
  growing.overview.contexts = [{ index: 0, title: "", tokens: 90 }];
  await page.evaluate(() => globalThis.sendEvent("changed", {}));
  await eventually(
    () => tokens(page).count(),
    (count) => count === 90,
  );
});

const waiting = fakePages();
waiting.handlers.overview = never;
await look("waiting", waiting, (page) =>
  page.getByText("Waiting for the language server").waitFor(),
);

const off = fakePages({ change: { state: "off", saes: [], contexts: [] } });
off.handlers.switchFile = () => {
  Object.assign(off.overview, fakePages().overview);
};
await look("off, then on", off, async (page) => {
  await page.screenshot({ path: join(outFolder, "page-off.png") });
  await page.getByRole("button", { name: "Read this file" }).click();
  await tokens(page).first().waitFor();
});

const reason = "no layer 30 in demo-lm: it has layers 0 to 3";
const failed = fakePages({
  change: { state: "failed", saes: [], contexts: [], problems: [reason] },
});
await look("failed", failed, async (page) => {
  await page.getByText(reason).waitFor();
  await checkAccessibility(page);
  await page.getByRole("button", { name: "Restart reader" }).click();
  await eventually(
    () => failed.asked,
    (asked) => asked.includes("restartReader"),
  );
});

const working = fakePages({
  change: { state: "working", saes: [], contexts: [{ index: 0, title: "", tokens: 0 }] },
});
await look("working", working, (page) => page.getByText("Reading einstein.txt…").first().waitFor());

const empty = fakePages({ change: { contexts: [] } });
await look("empty", empty, (page) => page.getByText("has no text yet").waitFor());

const asleep = fakePages({ change: { saes: [], contexts: [{ index: 0, title: "", tokens: 0 }] } });
delete asleep.overview.lm;
asleep.handlers.tokens = () =>
  Object.assign(asleep.overview, fakePages().overview) && { tokens: [] };
await look("unread after a restart of the reader", asleep, async (page) => {
  await eventually(
    () => asleep.overview.lm,
    (lm) => lm !== undefined,
  );
  asleep.handlers.tokens = fakePages().handlers.tokens;
  await page.evaluate(() => globalThis.sendEvent("changed", {}));
  await tokens(page).first().waitFor();
});

const refused = fakePages();
refused.handlers.tokens = () => {
  throw new Error("the reader has ended");
};
await look("refused", refused, (page) => page.getByText("the reader has ended").first().waitFor());

await close();
process.exitCode = report.end();
