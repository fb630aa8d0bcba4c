// The explorer page in its states, in a browser without VS Code: needs a build and Chromium, nothing else.
// Screenshots go to out/e2e/explorer-page-*.png. `node test/e2e/explorer-gallery.mjs`
import axe from "axe-core";
import assert from "node:assert/strict";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { eventually } from "./editor.mjs";
import { openPage } from "./gallery-page.mjs";
import { themes } from "./gallery-themes.mjs";
import { missingParts, outFolder, requireParts } from "./places.mjs";
import { newReport } from "./report.mjs";

requireParts("explorer page", missingParts({ workbench: false }));
const { browser, close } = await startBrowser();
const report = newReport("explorer page");

/** Opens the page, runs the checks, and fails on any error that the page itself had. */
async function look(title, fake, checks, options = {}) {
  await report.step(title, async () => {
    const settings = { name: "explorer", width: 1100, height: 1000, ...options };
    const opened = await openPage(browser, fake, settings);
    try {
      await checks(opened.page);
      const path = join(outFolder, `explorer-page-${title.replace(/\W+/g, "-")}.png`);
      await opened.page.screenshot({ path });
      assert.deepEqual(opened.errors, []);
    } finally {
      await opened.close();
    }
  });
}

for (const theme of Object.keys(themes)) {
  await look(
    `dashboard, ${theme}`,
    fakeLatents(),
    async (page) => {
      await page.locator(".item").nth(5).waitFor();
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      await page.locator("h1", { hasText: "#1" }).waitFor();
      await page.locator(".contexts .heat5").first().waitFor();
      await page.locator(".histogram canvas").waitFor();
      await checkAccessibility(page);
    },
    { theme },
  );
}

await look("search by the keyboard alone", fakeLatents(), async (page) => {
  await page.locator(".item").nth(5).waitFor();
  await page.keyboard.type("water");
  await page.locator("[role=status]", { hasText: "3 latents" }).first().waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.locator("h1", { hasText: "#14" }).waitFor();
  await page.keyboard.press("Escape");
  await page.locator("[role=status]", { hasText: "200 latents" }).first().waitFor();
  await page.keyboard.type("77");
  await page.keyboard.press("Enter");
  await page.locator("h1", { hasText: "#77" }).waitFor();
});

await look("the list goes on at its end", fakeLatents(), async (page) => {
  await page.locator(".item").nth(59).waitFor();
  for (let i = 0; i < 6; i++) await page.keyboard.press("PageDown");
  await page.locator(".item").nth(100).waitFor();
  await page.keyboard.press("PageDown");
  await page.locator(".item.active", { hasText: "#69" }).waitFor();
});

const tested = fakeLatents({ start: { sae: "demo", latent: 3 } });
await look("a text is tried live", tested, async (page) => {
  await page.getByLabel("Try a text").fill("some water here");
  await page.locator(".test .heat4", { hasText: "water" }).waitFor();
  await page.getByText("Strongest 7 at").waitFor();
});

const labelled = fakeLatents({ start: { sae: "demo", latent: 3 } });
await look("a label is written", labelled, async (page) => {
  await page.getByRole("button", { name: "Edit Label" }).click();
  await page.keyboard.type("mine");
  await page.keyboard.press("Enter");
  await page.locator(".labels li", { hasText: "mine" }).waitFor();
  await page.getByRole("button", { name: "Pin" }).click();
  await page.getByRole("button", { name: "#20" }).first().click();
  await page.locator("h1", { hasText: "#20" }).waitFor();
  await page.locator(".place").first().click();
  await eventually(
    () => JSON.stringify(labelled.done),
    (it) => it.includes("pinLatent") && it.includes("reveal"),
  );
});

for (const theme of ["dark", "light"]) {
  const found = fakeLatents({
    start: { sae: "demo", query: { kind: "found", search: "search-1" } },
  });
  await look(
    `latents for selections, ${theme}`,
    found,
    async (page) => {
      await page.locator(".item", { hasText: "first, F1 1.00" }).first().waitFor();
      await page.getByText("only 4 and 5 examples are held out").waitFor();
      await page.getByText("a probe on the mean residual: AUC 0.95").waitFor();
      await page.locator(".found summary", { hasText: "Together" }).click();
      await page.locator(".found").getByRole("button", { name: "#13" }).first().click();
      await page.locator("h1", { hasText: "#13" }).waitFor();
      await page.getByText("detection 0.93, fuzzing 0.85").waitFor();
      await checkAccessibility(page);
      await page.getByRole("button", { name: "Explain…", exact: true }).click();
      await page.getByRole("button", { name: "Explain these…" }).click();
      const asked = found.done.filter(({ command }) => command?.startsWith("explain"));
      assert.deepEqual(
        asked.map(({ command, latent, latents }) => [command, latent, latents?.length]),
        [
          ["explainLatent", 13, undefined],
          ["explainLatents", 13, 5],
        ],
      );
    },
    { theme },
  );
}

await look("no index", fakeLatents({ index: false }), async (page) => {
  await page.getByRole("button", { name: "Index Corpus…" }).waitFor();
  await page.locator(".item").first().click();
  await page.getByText("Raises most").waitFor();
  await checkAccessibility(page);
});
await look(
  "narrow",
  fakeLatents({ start: { sae: "demo", latent: 3 } }),
  async (page) => {
    await page.locator(".contexts li").first().waitFor();
  },
  { width: 420 },
);
const hostile = "<img src=x onerror=window.hacked=1> \u202Egnol";
await look(
  "hostile text",
  fakeLatents({ text: hostile, start: { sae: "demo", latent: 3 } }),
  async (page) => {
    await page.locator(".labels li", { hasText: "<img" }).first().waitFor();
    await page.locator(".contexts li", { hasText: "<img" }).first().waitFor();
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.ok(!(await page.locator(".dashboard").innerText()).includes("\u202E"));
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
  return { handlers: { start: () => ({}), explorerSaes: refuse } };
}

function refuse() {
  throw new Error("no server");
}

/** A server with 200 latents. */
function fakeLatents({ index = true, text = "compass directions", start = {} } = {}) {
  const done = [];
  const labels = new Map([13, 14, 15].map((latent) => [latent, `${text} and water ${latent}`]));
  labels.set(3, text);
  const words = ["The", " river", " carries", " water", " to", " the", " sea", ".", "\n"];
  const context = (group, strength) => ({
    group,
    peak: 11,
    tokens: Array.from({ length: 40 }, (_, at) => ({
      text: at === 5 ? text : words[at % words.length],
      act:
        at % words.length === 3 || at === 11 ? strength * (at === 11 ? 1 : 0.4) : at % 7 ? 0 : 0.6,
    })),
  });
  const items = Array.from({ length: 200 }, (_, latent) => ({
    latent,
    ...(labels.has(latent) ? { label: labels.get(latent) } : { tokens: [" water", " sea"] }),
    ...(index ? { density: 0.2 / (latent + 1), max: 9 } : {}),
  }));
  const related = [20, 31, 152].map((latent, at) => ({
    latent,
    value: 0.9 - at / 4,
    label: at === 1 ? text : undefined,
    count: 12 - at,
  }));
  const logits = (sign) =>
    Array.from({ length: 10 }, (_, at) => ({
      text: at === 2 ? text : ` token${at}`,
      value: sign * (2 - at / 10),
    }));
  const dashboard = (latent) => ({
    sae: "demo",
    latent,
    labels: labels.has(latent)
      ? [
          { text: labels.get(latent), from: "labels", author: "ada", date: "2025-01-31" },
          {
            text: `words of ${text}`,
            from: "labels",
            author: "generated by some-model",
            date: "2025-02-01",
            generated: true,
            scores: { detection: 0.929, fuzzing: 0.85 },
          },
        ]
      : [],
    pinned: false,
    neuronpediaId: `demo/2-res/${latent}`,
    logits: { top: logits(1), bottom: index ? logits(-1) : [] },
    metaLatents: { meta: "meta-512", parts: related },
    counterparts: [{ sae: "demo-narrow", kind: "reconstruction", latents: related }],
    ...(index
      ? {
          corpus: {
            count: 1234,
            counted: 100_000,
            max: 9,
            mean: 2.4,
            histogram: Array.from({ length: 40 }, (_, bin) =>
              Math.round(300 * Math.exp(-bin / 6) + 30 * Math.exp(-((bin - 28) ** 2) / 20)),
            ),
            tokens: [" water", " sea", " river", text, " the"].map((it, at) => ({
              text: it,
              count: 400 - 80 * at,
              mean: 5 - at,
            })),
            coactive: related,
            sampled: 512,
            decoder: related,
            encoder: related,
            quantiles: 5,
          },
        }
      : {}),
  });
  return {
    done,
    handlers: {
      start: () => start,
      explorerSaes: () => ({
        lm: "demo/lm",
        pinned: [],
        saes: [
          {
            id: "demo",
            d_sae: 200,
            hook: "blocks.2.hook_resid_post",
            lm: "demo/lm",
            architecture: "batchtopk",
            labels: labels.size,
            ...(index
              ? {
                  index: {
                    folder: "/runs/index",
                    tokens: 100_000,
                    counted: 99_000,
                    files: [],
                    builtAt: "2025-01-31",
                    active: 190,
                  },
                }
              : {}),
          },
        ],
      }),
      foundLatents: () => ({
        sae: "demo",
        pool: "max",
        seed: 0,
        positives: 9,
        negatives: 10,
        heldPositives: 4,
        heldNegatives: 5,
        latents: [],
        combinations: [[13], [13, 31], [13, 31, 20], [13, 31, 20, 152]].map((latents) => ({
          latents,
          auc: 0.9 + latents.length / 50,
          f1: 0.88,
        })),
        baseline: { auc: 0.95, f1: 0.9 },
        notes: [
          "only 4 and 5 examples are held out: an AUC moves in steps of 1/20, and a good one may be luck",
        ],
      }),
      latents: ({ query, from, to }) => {
        if (query.kind === "found")
          return {
            total: 5,
            items: [13, 31, 20, 152, 3].map((latent, at) => ({
              ...items[latent],
              score: 1 - at / 20,
              note: `${at % 2 === 0 ? "first" : "second"}, F1 ${(1 - at / 10).toFixed(2)}`,
            })),
          };
        const found =
          query.kind === "label" ? items.filter(({ label }) => label?.includes(query.text)) : items;
        return { total: found.length, items: found.slice(from, to) };
      },
      latentDashboard: ({ latent }) => dashboard(latent),
      latentContexts: () => ({
        contexts: index
          ? [9, 8.8, 8.1, 7]
              .map((act) => context(0, act))
              .concat(
                [5, 4, 3, 2, 1].flatMap((group) => [
                  context(group, group),
                  context(group, group - 0.3),
                ]),
              )
          : [],
      }),
      latentPlaces: ({ latent }) => ({
        absorbed: [
          {
            uri: "file:///a.prompt.md",
            name: "a.prompt.md",
            line: 7,
            startOffset: 90,
            endOffset: 94,
            text: " for",
            before: "",
            after: " has the first letter:",
            task: "first-letter",
            label: "F",
            silent: [latent],
            absorber: 3098,
          },
        ],
        total: 2,
        places: [4, 40].map((startOffset) => ({
          uri: "file:///a.prompt.md",
          name: "a.prompt.md",
          line: startOffset,
          startOffset,
          endOffset: startOffset + 6,
          act: 3.2,
          text: " water",
          before: "The river carries",
          after: " to the sea.",
        })),
      }),
      testLatent: ({ text: typed }) => {
        const tokens = typed
          .split(/(?= )/)
          .map((it) => ({ text: it, act: it.includes("water") ? 7 : 0 }));
        return {
          context: {
            group: 0,
            peak: tokens.findIndex(({ act }) => act > 0),
            tokens: tokens.map((it) => ({ ...it, act: it.act })),
          },
        };
      },
      setLabel: ({ latent, text: label }) => {
        labels.set(latent, label);
        done.push(["setLabel", latent]);
      },
      reveal: (place) => void done.push(["reveal", place]),
      runCommand: (command) => void done.push(command),
    },
  };
}
