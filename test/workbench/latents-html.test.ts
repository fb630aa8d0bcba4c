import { expect, test } from "vitest";
import type { LatentContext, LatentDashboard } from "../../server/protocol/explorer.ts";
import { latentsHtml } from "../../server/workbench/latents-html.ts";

const hostile = `<script>alert(1)</script>"'&\u202e`;
const source = { lm: hostile, sae: hostile, hook: hostile, d_sae: 8 };

function dashboard(change: Partial<LatentDashboard> = {}): LatentDashboard {
  return {
    sae: "s",
    latent: 3,
    labels: [{ text: hostile, from: "labels", author: hostile, date: "2025-01-01" }],
    pinned: false,
    neuronpediaId: hostile,
    logits: { top: [{ text: hostile, value: 1.234 }], bottom: [] },
    metaLatents: { meta: hostile, parts: [{ latent: 7, value: 0.5, label: hostile }] },
    counterparts: [],
    corpus: {
      count: 5,
      counted: 1000,
      max: 9.5,
      mean: 4,
      histogram: [3, 0, 2],
      sampled: 5,
      coactive: [],
      encoder: [],
      quantiles: 4,
      decoder: [{ latent: 9, value: 0.71 }],
      tokens: [{ text: hostile, count: 2, mean: 3 }],
    },
    ...change,
  };
}

const contexts: LatentContext[] = [
  {
    group: 0,
    peak: 1,
    tokens: [
      { text: hostile, act: 0 },
      { text: "\n\t", act: 9.5 },
    ],
  },
];

test("every text is escaped, nothing runs and nothing is asked of other places", () => {
  const html = latentsHtml(source, [{ dashboard: dashboard(), contexts }]);
  expect(html).not.toMatch(/<script|alert\(1\)<\/|\u202e|https?:|src=|href=|<link|url\(/);
  expect(html).toContain("&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39;&#38;⟨U+202E⟩");
  expect(html).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
  // Attributes hold figures of ours alone.
  for (const [, value] of html.matchAll(/(?:title|aria-label)="([^"]*)"/g))
    expect(value).toMatch(/^[\w ,.:-]*$/);
});

test("figures are those of the dashboard, contexts those of the index", () => {
  const html = latentsHtml(source, [{ dashboard: dashboard(), contexts }]);
  expect(html).toContain("density 0.5 % (5 of 1000 tokens) · max 9.5 · mean when active 4");
  expect(html).toContain('<span class="h5" title="9.5">↵⇥</span>');
  // Weak contexts look weak: colours go by the latent's own maximum.
  const weak = { group: 1, peak: 0, tokens: [{ text: "a", act: 1.8 }] };
  const other = latentsHtml(source, [{ dashboard: dashboard(), contexts: [weak] }]);
  expect(other).toContain('<span class="h1" title="1.8">a</span>');
  expect(html).toContain("<td>#9</td><td>0.71</td>");
  expect(html.match(/<rect /g)).toHaveLength(3);
});

test("a latent without index, label or logits is said to have none", () => {
  const { corpus: _, logits: _2, metaLatents: _3, neuronpediaId: _4, ...bare } = dashboard();
  const html = latentsHtml(source, [{ dashboard: { ...bare, labels: [] }, contexts: [] }]);
  expect(html).toContain("no index: without contexts and density");
  expect(html).not.toContain("<table");
});
