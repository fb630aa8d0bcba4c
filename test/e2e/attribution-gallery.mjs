// The attribution page in its states, in a browser without VS Code: needs a build and Chromium, nothing else.
// Screenshots go to out/e2e/attribution-page-*.png. `node test/e2e/attribution-gallery.mjs`
import axe from "axe-core";
import assert from "node:assert/strict";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { eventually } from "./editor.mjs";
import { openPage } from "./gallery-page.mjs";
import { themes } from "./gallery-themes.mjs";
import { missingParts, outFolder, requireParts } from "./places.mjs";
import { newReport } from "./report.mjs";

requireParts("attribution page", missingParts({ workbench: false }));
const { browser, close } = await startBrowser();
const report = newReport("attribution page");

/** Opens the page, runs the checks, and fails on any error that the page itself had. */
async function look(title, fake, checks, options = {}) {
  await report.step(title, async () => {
    const opened = await openPage(browser, fake, { name: "attribution", width: 860, ...options });
    try {
      await checks(opened.page);
      const path = join(outFolder, `attribution-page-${title.replace(/\W+/g, "-")}.png`);
      await opened.page.screenshot({ path, fullPage: true });
      assert.deepEqual(opened.errors, []);
    } finally {
      await opened.close();
    }
  });
}

for (const theme of Object.keys(themes)) {
  await look(
    `answer, ${theme}`,
    fakeAnswers(),
    async (page) => {
      await page.getByRole("button", { name: "#2219" }).waitFor();
      await checkAccessibility(page);
    },
    { theme },
  );
}

await look("a token's latents alone, shown in the editor", fakeAnswers(), async (page) => {
  await page.getByRole("button", { name: /^ ?U, position 2/ }).click();
  await page.getByText("at position 2 alone").waitFor();
  assert.equal(await page.locator("table").first().locator("tbody tr").count(), 1);
});

await look("sorted by activation, then the other way round", fakeAnswers(), async (page) => {
  const first = page.locator("tbody tr").first();
  await page.getByRole("button", { name: "Activation" }).click();
  assert.match(await first.innerText(), /#2219/);
  await page.getByRole("button", { name: "Activation" }).click();
  assert.match(await first.innerText(), /#4225/);
});

const asked = fakeAnswers();
await look("another token, less a third, checked by ablation", asked, async (page) => {
  await page.getByLabel("Logit of").selectOption({ label: "“ a” 11.2 %" });
  await page.getByLabel("less").selectOption({ label: "“ the” 41.0 %" });
  await page.getByLabel(/by ablation/).check();
  await page.getByText("r = 0.921").waitFor();
  const { target, ablations } = asked.asked.at(-1);
  assert.deepEqual(target, { kind: "token", token: { id: 257 }, minus: { id: 262 } });
  assert.equal(ablations, 20);
});

const told = fakeAnswers();
await look("pin and steer are the host's", told, async (page) => {
  await page.getByRole("button", { name: "#2219" }).click();
  await page.getByRole("button", { name: "Steer with meta-latent 42" }).click();
  await eventually(
    () => told.told,
    (it) => it.length === 2,
  );
  assert.deepEqual(told.told, [
    { sae: "resid2-6144", latent: 2219 },
    { sae: "resid2-6144", kind: "meta-latent", latent: 42 },
  ]);
});

await look("working", waiting(), async (page) => {
  await page.getByText("Attributing").waitFor();
  await page.evaluate(() => globalThis.sendEvent("progress", { text: "gradient 3 of 16" }));
  await page.getByText("gradient 3 of 16").waitFor();
  await page.getByRole("button", { name: "Cancel" }).waitFor();
  await checkAccessibility(page);
});

await look("refused", failing(), (page) => page.getByText("no token here").waitFor());

await look(
  "hostile texts",
  fakeAnswers("<img src=x onerror=window.hacked=1>\u202e"),
  async (page) => {
    await page.getByText("<img src=x").first().waitFor();
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.ok(!(await page.locator("body").innerText()).includes("\u202e"));
  },
);

await look("narrow", fakeAnswers(), (page) => page.locator("table").first().waitFor(), {
  width: 320,
});

await close();
process.exitCode = report.end();

async function checkAccessibility(page) {
  const { violations } = await page.evaluate(`${axe.source}; axe.run()`);
  const found = violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  );
  assert.deepEqual(found, []);
}

function start() {
  return {
    uri: "file:///a.txt",
    context: 0,
    index: 4,
    target: { kind: "top" },
    method: "integrated",
    steps: 16,
    ablations: 0,
  };
}

function waiting() {
  return { handlers: { start, attributeNext: () => new Promise(() => {}) } };
}

function failing() {
  return {
    handlers: {
      start,
      attributeNext: () => {
        throw new Error("no token here");
      },
    },
  };
}

function latent(position, index, activation, gradient, effect) {
  return {
    position,
    latent: index,
    activation,
    gradient,
    attribution: activation * gradient,
    effect,
  };
}

function fakeAnswers(label = "of (most uses)") {
  const asked = [];
  const told = [];
  const view = ({ ablations }) => ({
    uri: "file:///a.txt",
    version: 1,
    lm: "sae-demo-lm",
    sae: "resid2-6144",
    hook: "blocks.2.hook_resid_post",
    tokens: ["<|endoftext|>", " in", " U", "lm", " of"].map((text, at) => ({
      id: at,
      text: at === 3 ? label.slice(0, 8) : text,
      ...(at === 0 ? {} : { startOffset: at, endOffset: at + 1 }),
    })),
    left: 0,
    position: 4,
    next: [
      { id: 262, text: " the", probability: 0.41 },
      { id: 257, text: " a", probability: 0.112 },
    ],
    metric: 'logit of " the"',
    method: "integrated",
    steps: 16,
    value: 8.512,
    baseline: 3.928,
    sum: 4.588,
    latents: [
      latent(4, 2219, 75.9, 0.01376, ablations ? 0.468 : undefined),
      latent(4, 4225, 19.4, 0.0503, ablations ? 0.99 : undefined),
      latent(2, 1091, 30.6, -0.0079, ablations ? -0.11 : undefined),
    ],
    activeLatents: 348,
    others: 1.9,
    error: [1, 2, 3, 4].map((position) => ({ position, attribution: -0.1 * position })),
    meta: {
      id: "meta-512",
      latents: [
        {
          metaLatent: 42,
          attribution: 0.939,
          through: [4225, 4867, 4789, 1, 2].map((it) => ({ latent: it, attribution: 0.1 })),
        },
        { metaLatent: 443, attribution: -0.625, through: [{ latent: 5792, attribution: -0.6 }] },
      ],
      rest: 2.1,
    },
    ...(ablations ? { correlation: 0.921 } : {}),
    labels: { 4225: label },
    metaLabels: { 42: "words that open a clause: that, which, when" },
    problems: ["attributions add up to 4.59, the logit falls by 8 without these latents"],
  });
  return {
    asked,
    told,
    handlers: {
      start,
      attributeNext: (params) => {
        asked.push(params);
        return view(params);
      },
      reveal: () => null,
      pin: (params) => void told.push(params),
      steer: (params) => void told.push(params),
    },
  };
}
