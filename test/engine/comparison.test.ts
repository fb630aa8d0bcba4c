import { afterAll, beforeAll, expect, test } from "vitest";
import type { Engine } from "../../server/engine/engine.ts";
import type { ContextReading } from "../../server/protocol/reader.ts";
import { demoLm, demoSae, openEngine, plainContext } from "./engine.ts";

const sae = "resid2-6144";
const sentences = [
  "Albert Einstein was born in Ulm. ",
  "He worked in a patent office in Bern.\n",
  "The theory of relativity made him famous! ",
  "Physicists still use it today.",
];
const text = sentences.join("");
let engine: Engine;
let lm: string;
beforeAll(async () => {
  engine = await openEngine();
  ({ id: lm } = await engine.loadLm({ path: demoLm }));
  await engine.loadSae({ path: demoSae(sae), lm });
});
afterAll(() => engine.close());

let readings = 0;
/** A text read from scratch. */
function fresh(of: string): Promise<ContextReading> {
  const stream = `scratch-${++readings}`;
  return engine.analyse({ stream, lm, saes: [sae], context: plainContext(of) });
}

/** All activations of a token, silent latents as 0. */
function dense(reading: ContextReading, token: number): Float64Array {
  const { offsets, latents, acts } = reading.saes[sae]!;
  const result = new Float64Array(6144);
  for (let at = offsets[token]!; at < offsets[token + 1]!; at++) result[latents[at]!] = acts[at]!;
  return result;
}

/** The token whose range ends there. */
function endingAt({ tokens }: ContextReading, end: number): number {
  return tokens.end.findIndex((it, token) => it === end && tokens.part[token] === 0);
}

/** Σ|a − b| and Σ(|a| + |b|) over latents. */
function differences(a: Float64Array, b: Float64Array): { change: number; whole: number } {
  let [change, whole] = [0, 0];
  for (const [latent, value] of a.entries()) {
    change += Math.abs(b[latent]! - value);
    whole += Math.abs(b[latent]!) + Math.abs(value);
  }
  return { change, whole };
}

test("leaving a sentence out: every cell is what the shortened text reads from scratch", async () => {
  const found = await engine.counterfactual({ lm, sae, context: plainContext(text), top: 8 });
  expect(found.sentences.map((it) => it.text)).toEqual(sentences);
  const pairs = found.cells.map(({ leftOut, affected }) => [leftOut, affected].join());
  expect(pairs).toEqual(["0,1", "0,2", "0,3", "1,2", "1,3", "2,3"]);
  const whole = await fresh(text);
  for (const cell of found.cells) {
    const cut = found.sentences[cell.leftOut]!;
    const { start, end } = found.sentences[cell.affected]!;
    const shorter = await fresh(text.slice(0, cut.start) + text.slice(cut.end));
    const sum = { change: 0, whole: 0, tokens: 0, notCompared: 0 };
    const byLatent = new Float64Array(6144);
    for (const [token, last] of whole.tokens.end.entries()) {
      if (whole.tokens.part[token] !== 0 || last <= start || last > end) continue;
      const other = endingAt(shorter, last - (cut.end - cut.start));
      if (shorter.tokens.ids[other] !== whole.tokens.ids[token]) {
        sum.notCompared++;
        continue;
      }
      const [a, b] = [dense(whole, token), dense(shorter, other)];
      const { change, whole: both } = differences(a, b);
      sum.change += change;
      sum.whole += both;
      sum.tokens++;
      for (const [latent, value] of a.entries()) byLatent[latent]! += Math.abs(b[latent]! - value);
    }
    expect(cell.tokens).toBe(sum.tokens);
    expect(cell.notCompared).toBe(sum.notCompared);
    expect(Math.abs(cell.change / sum.change - 1)).toBeLessThan(1e-3);
    expect(cell.dissimilarity).toBeCloseTo(sum.change / sum.whole, 4);
    expect(cell.change).toBeGreaterThan(0);
    const strongest = cell.latents[0]!;
    expect(strongest.change).toBeCloseTo(byLatent[strongest.latent]!, 2);
    expect(strongest.change).toBeCloseTo(Math.max(...byLatent), 2);
    const { appears, vanishes, changes } = cell.counts;
    const changed = byLatent.filter((it) => it > 0.01).length;
    expect(appears + vanishes + changes).toBeGreaterThanOrEqual(changed);
  }
  // The first word after the cut begins the text, so its token is another one or stands at another kind of place.
  expect(found.cells[0]!.notCompared).toBeGreaterThan(0);
});

test("two texts: tokens aligned, and latents that appear, vanish and change", async () => {
  const other = text.replace("patent office", "famous bakery");
  const params = { lm, sae, before: plainContext(text), after: plainContext(other) };
  const options = { top: 10_000, topPerToken: 10_000 };
  const found = await engine.compare({ ...params, ...options, tokens: "all" });
  const [a, b] = [await fresh(text), await fresh(other)];
  const firstEdit = found.rows.findIndex((it) => it.before === undefined || it.after === undefined);
  let change = 0;
  const before = new Set<number>();
  const after = new Set<number>();
  for (const [index, row] of found.rows.entries()) {
    const x = row.before === undefined ? new Float64Array(6144) : dense(a, row.before);
    const y = row.after === undefined ? new Float64Array(6144) : dense(b, row.after);
    if (row.before !== undefined && row.after !== undefined)
      expect(a.tokens.ids[row.before]).toBe(b.tokens.ids[row.after]);
    if (!row.counts) continue;
    const size = differences(x, y).change;
    expect(Math.abs(row.change - size)).toBeLessThan(0.05);
    // A causal model reads what stands before an edit as it did.
    if (index < firstEdit) expect(row.change).toBe(0);
    change += size;
    for (const [latent, value] of x.entries()) if (value !== 0) before.add(latent);
    for (const [latent, value] of y.entries()) if (value !== 0) after.add(latent);
  }
  expect(Math.abs(found.change / change - 1)).toBeLessThan(1e-3);
  const kinds = { appears: 0, vanishes: 0, changes: 0 };
  for (const { latent, kind, change: size } of found.latents) {
    kinds[kind]++;
    if (size < 0.01) continue;
    const expected = before.has(latent) ? (after.has(latent) ? "changes" : "vanishes") : "appears";
    expect(kind).toBe(expected);
  }
  expect(found.counts).toEqual(kinds);
  expect(kinds.appears).toBeGreaterThan(0);
  expect(kinds.vanishes).toBeGreaterThan(0);
  // Tokens of one text alone count only where all do.
  const shared = await engine.compare({ ...params, ...options, tokens: "shared" });
  const alone = found.rows.filter((it) => it.before === undefined || it.after === undefined);
  const ofAlone = alone.reduce((sum, it) => sum + it.change, 0);
  expect(shared.change).toBeCloseTo(found.change - ofAlone, 2);
});

test("a text beside itself changes nowhere", async () => {
  const both = { before: plainContext(text), after: plainContext(text) };
  const found = await engine.compare({ lm, sae, ...both, tokens: "all", top: 9, topPerToken: 9 });
  expect(found.change).toBe(0);
  expect(found.latents).toEqual([]);
  expect(found.counts).toEqual({ appears: 0, vanishes: 0, changes: 0 });
});

function ask(of: string): Promise<unknown> {
  return engine.counterfactual({ lm, sae, context: plainContext(of), top: 8 });
}

test("what cannot be asked is said", async () => {
  await expect(ask("Only one sentence.")).rejects.toThrow("fewer than two sentences");
  await expect(ask("One. ".repeat(101))).rejects.toThrow("101 sentences");
  await expect(ask(`${"word ".repeat(400)}. Two.`)).rejects.toThrow("the model reads 256");
});
