// An index of the demo's small SAE over a short corpus equals a pass over dense activations, whatever memory it may take,
// and whether or not it was stopped on the way.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { indexCuts, indexMemory } from "../../server/engine/index/index-memory.ts";
import { buildIndexRun } from "../../server/engine/index/index-run.ts";
import { loadLm } from "../../server/lm/load.ts";
import { Stream } from "../../server/lm/stream.ts";
import { openDevice } from "../../server/runtime/device.ts";
import { loadSae } from "../../server/sae/load.ts";
import { openSae } from "../../server/sae/sae.ts";
import { LatentIndex } from "../../server/store/index-reader.ts";
import {
  defaultSizes,
  examplesOf,
  facets,
  noExample,
  noPlace,
} from "../../server/store/latent-index.ts";
import { TokenWindows } from "../../server/store/token-windows.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { repoRoot } from "../parts.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });
const scratch = mkdtempSync(join(tmpdir(), "latent-index-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const lmPath = join(repoRoot, "demo/lm");
const saePath = join(repoRoot, "demo/saes/resid2-1024");
const hook = "blocks.2.hook_resid_post";
const [d_sae, d_vocab] = [1024, 8192];

/** Everything as it would be computed by hand: one dense matrix. */
interface Dense {
  readonly ids: Int32Array;
  readonly window: number[];
  readonly starts: number[];
  /** `[tokens, d_sae]`, zero at position 0 and at special tokens. */
  readonly acts: Float32Array;
  readonly counted: boolean[];
  readonly W_dec: Float32Array;
  readonly W_enc: Float32Array;
  readonly logits: (latent: number) => Promise<Float32Array>;
}

let index: LatentIndex;
let dense: Dense;
let close: () => Promise<void>;

async function build(name: string, given: object = {}, signal = new AbortController().signal) {
  const folder = join(scratch, name);
  const files = [join(repoRoot, "demo/self-check.txt")];
  const data = { kind: "files", lm: lmPath, files, ctx: 64 };
  const result = await buildIndexRun({
    folder,
    given: { kind: "index", sae: saePath, data, ...given },
    device: "cpu",
    threads: 1,
    priority: "normal",
    signal,
    onProgress: () => {},
  });
  return { ...result, open: () => new LatentIndex(result.folder) };
}

beforeAll(async () => {
  index = (await build("whole")).open();
  const { device } = await openDevice({ device: "cpu", threads: 1, memoryBudget: 2 ** 31 });
  const lm = await loadLm(lmPath, device);
  const description = await loadSae(saePath);
  const sae = await openSae(description, device);
  const windows = TokenWindows.read(join(index.folder, "tokens.safetensors"));
  const acts = new Float32Array(windows.tokens * d_sae);
  const counted: boolean[] = [];
  const window: number[] = [];
  const starts: number[] = [];
  const ids: number[] = [];
  const special = new Set([lm.tokenizer.bosId, ...lm.tokenizer.eosIds]);
  for (let w = 0; w < windows.count; w++) {
    const own = windows.window(w);
    starts.push(ids.length);
    const stream = new Stream(lm);
    stream.setIds(own);
    const { data } = (await stream.read([lm.hook(hook)])).get(hook)!;
    stream.dispose();
    const rows = await sae.encodeDense(
      tensor("float32", [own.length, 192], Float32Array.from(data)),
    );
    for (const [at, id] of own.entries()) {
      const counts = at > 0 && !special.has(id);
      if (counts) acts.set(rows.data.subarray(at * d_sae, (at + 1) * d_sae), ids.length * d_sae);
      counted.push(counts);
      window.push(w);
      ids.push(id);
    }
  }
  const norm = lm.unembedding.normScale();
  const W_dec = sae.decoderRows(Array.from({ length: d_sae }, (_, i) => i));
  dense = {
    ids: Int32Array.from(ids),
    window,
    starts: [...starts, ids.length],
    acts,
    counted,
    W_dec,
    W_enc: description.parameters.get("W_enc")!.readFloat32(),
    logits: (latent) =>
      lm.unembedding.logits(
        W_dec.slice(latent * 192, (latent + 1) * 192).map((x, i) => x * norm[i]!),
      ),
  };
  close = async () => {
    index.close();
    await sae.release();
    await lm.release();
    await device.close();
  };
});
afterAll(() => close?.());

const column = (latent: number): Float32Array =>
  Float32Array.from(dense.ids, (_, token) => dense.acts[token * d_sae + latent]!);
const near = (found: number, wanted: number): void =>
  expect(Math.abs(found - wanted)).toBeLessThan(1e-4 * Math.max(1, Math.abs(wanted)));

test("count, largest, mean, histogram and tokens of every latent", () => {
  const { count, max, mean } = index.summary;
  expect(index.manifest.corpus.counted).toBe(dense.counted.filter(Boolean).length);
  for (let latent = 0; latent < d_sae; latent++) {
    const acts = column(latent);
    const active = acts.filter((act) => act !== 0);
    expect(count[latent]).toBe(active.length);
    if (active.length === 0) continue;
    const largest = Math.max(...active);
    near(max[latent]!, largest);
    near(mean[latent]!, active.reduce((a, b) => a + b) / active.length);
    const row = index.row("contexts", latent)!;
    const bins = new Uint32Array(40);
    for (const act of active) bins[Math.min(39, Math.floor((act / largest) * 40))]!++;
    // Rounding may move an activation over a border of bins.
    const moved = bins.reduce((sum, n, bin) => sum + Math.abs(n - row["histogram"]![bin]!), 0);
    expect(moved).toBeLessThanOrEqual(Math.ceil(active.length / 50));
    const byToken = new Map<number, number[]>();
    acts.forEach((act, token) => {
      if (act !== 0)
        byToken.set(dense.ids[token]!, [...(byToken.get(dense.ids[token]!) ?? []), act]);
    });
    const sums = [...byToken].map(([id, all]) => ({
      id,
      n: all.length,
      sum: all.reduce((a, b) => a + b),
    }));
    sums.sort((a, b) => b.sum - a.sum);
    for (const [rank, { n, sum }] of sums.slice(0, 10).entries()) {
      const id = row["token"]![rank]!;
      near(row["token.value"]![rank]! * row["token.count"]![rank]!, sum);
      expect(row["token.count"]![rank]).toBe(byToken.get(id)!.length);
      if (sums.filter((it) => Math.abs(it.sum - sum) < 1e-3).length === 1)
        expect(n).toBe(byToken.get(id)!.length);
    }
  }
});

test("contexts: the strongest, and some of each quantile of the others, with every token's activation", () => {
  const width = defaultSizes.before + 1 + defaultSizes.after;
  let groupsSeen = 0;
  for (let latent = 0; latent < d_sae; latent++) {
    const acts = column(latent);
    const contexts = new Map<number, number>();
    acts.forEach((act, token) => {
      const start = dense.starts[dense.window[token]!]!;
      const key = start + width * Math.floor((token - start) / width);
      if (act > (contexts.get(key) ?? 0)) contexts.set(key, act);
    });
    const peaks = [...contexts.values()].toSorted((a, b) => a - b);
    const rest = Math.max(0, peaks.length - defaultSizes.top);
    const row = index.row("contexts", latent)!;
    const groups = [...row["group"]!];
    const used = groups.findIndex((it) => it === noExample);
    const shown = used < 0 ? examplesOf(defaultSizes) : used;
    for (let example = 0; example < shown; example++) {
      const [peak, start, length] = ["peak", "start", "length"].map((name) => row[name]![example]!);
      const stored = row["acts"]!.subarray(example * width, (example + 1) * width);
      const wanted = acts.slice(start!, start! + width).fill(0, length!);
      near(Math.max(...stored.map((act, at) => Math.abs(act - (wanted[at] ?? 0)))), 0);
      const w = dense.window[peak!]!;
      expect(start).toBe(Math.max(dense.starts[w]!, peak! - defaultSizes.before));
      expect(start! + length!).toBe(Math.min(dense.starts[w + 1]!, peak! + defaultSizes.after + 1));
      const group = groups[example]!;
      const act = stored[peak! - start!]!;
      if (group === 0) near(act, peaks[peaks.length - 1 - example]!);
      else {
        groupsSeen++;
        const [from, to] = [group - 1, group].map((it) => Math.floor((it * rest) / 5));
        expect(act).toBeGreaterThanOrEqual(peaks[from!]! - 1e-4);
        expect(act).toBeLessThanOrEqual(peaks[to! - 1]! + 1e-4);
      }
    }
    for (let group = 1; group <= 5; group++) {
      const size = Math.floor((group * rest) / 5) - Math.floor(((group - 1) * rest) / 5);
      expect(groups.filter((it) => it === group).length).toBe(Math.min(4, size));
    }
  }
  expect(groupsSeen).toBeGreaterThan(100);
});

test("places of silence: the latent fires nowhere near, every token counts, no two overlap", () => {
  const { silent, silentReach: reach } = defaultSizes;
  let found = 0;
  let short = 0;
  for (let latent = 0; latent < d_sae; latent++) {
    const acts = column(latent);
    const places = [...index.row("contexts", latent)!["silent"]!];
    const used = places.filter((it) => it !== noPlace);
    expect(places.slice(used.length).every((it) => it === noPlace)).toBe(true);
    for (const [at, place] of used.entries()) {
      const around = Array.from({ length: 2 * reach + 1 }, (_, i) => place - reach + i);
      expect(around.every((it) => dense.counted[it] && acts[it] === 0)).toBe(true);
      expect(dense.window[around[0]!]).toBe(dense.window[around.at(-1)!]);
      for (const other of used.slice(0, at))
        expect(Math.abs(other - place)).toBeGreaterThan(2 * reach);
    }
    found += used.length;
    if (used.length < silent) short++;
    // A silent latent has them as well; one that fires everywhere cannot.
    if (index.summary.count[latent] === 0) expect(used.length).toBeGreaterThan(10);
    if (index.summary.count[latent]! > dense.ids.length * 0.9) expect(used).toEqual([]);
  }
  expect(found).toBeGreaterThan(5000);
  expect(short).toBeGreaterThan(0);
});

test("co-activating latents by correlation", () => {
  const { count } = index.summary;
  const n = dense.counted.filter(Boolean).length;
  const places = Array.from(
    { length: d_sae },
    (_, latent) =>
      new Set([...dense.ids.keys()].filter((token) => dense.acts[token * d_sae + latent] !== 0)),
  );
  for (let latent = 0; latent < d_sae; latent += 7) {
    const row = index.row("coactive", latent)!;
    expect(row["sampled"]![0]).toBe(Math.min(512, count[latent]!));
    if (count[latent]! > 512 || count[latent] === 0) continue;
    const own = places[latent]!;
    const all = places.flatMap((other, i) => {
      const both = [...own].filter((token) => other.has(token)).length;
      if (i === latent || both === 0) return [];
      const [p, q] = [own.size / n, other.size / n];
      return [(both / n - p * q) / Math.sqrt(p * (1 - p) * q * (1 - q))];
    });
    all.sort((a, b) => b - a);
    for (const [rank, value] of all.slice(0, 10).entries())
      near(row["latent.value"]![rank]!, value);
  }
});

test("logits, neighbours and the latents of a token", async () => {
  for (const latent of [0, 17, 500, 1023]) {
    const logits = await dense.logits(latent);
    const sorted = [...logits].toSorted((a, b) => b - a);
    const row = index.row("effects", latent)!;
    for (let rank = 0; rank < 10; rank++) {
      near(row["top.value"]![rank]!, sorted[rank]!);
      near(logits[row["top"]![rank]!]!, sorted[rank]!);
      near(row["bottom.value"]![rank]!, sorted.at(-1 - rank)!);
    }
    const decoder = (i: number): Float32Array => dense.W_dec.subarray(i * 192, (i + 1) * 192);
    const encoder = (i: number): Float32Array =>
      Float32Array.from({ length: 192 }, (_, d) => dense.W_enc[d * d_sae + i]!);
    for (const [facet, vector] of [
      ["decoder", decoder],
      ["encoder", encoder],
    ] as const) {
      const cosines = Array.from({ length: d_sae }, (_, i) => cosine(vector(latent), vector(i)));
      const found = index.row(facet, latent)!;
      const best = cosines.filter((_, i) => i !== latent).toSorted((a, b) => b - a);
      for (let rank = 0; rank < 10; rank++) {
        near(found["latent.value"]![rank]!, best[rank]!);
        near(cosines[found["latent"]![rank]!]!, best[rank]!);
      }
    }
  }
  const id = dense.ids[20]!;
  const is = Array.from(dense.ids, (it, token) => (it === id && dense.counted[token] ? 1 : 0));
  const scores = Array.from({ length: d_sae }, (_, latent) => cosine(column(latent), is));
  const best = scores.toSorted((a, b) => b - a);
  for (const [rank, { latent, score }] of index.latentsOfToken(id).entries()) {
    near(score, best[rank]!);
    near(scores[latent]!, best[rank]!);
  }
});

test("little memory gives the same index in more files, and a stopped build goes on", async () => {
  const small = await build("small", { memoryMib: 1 });
  const other = small.open();
  expect(other.manifest.parts.contexts.length).toBeGreaterThan(20);
  expect(other.manifest.parts.coactive.length).toBeGreaterThan(10);
  for (let latent = 0; latent < d_sae; latent += 3)
    for (const facet of facets) expect(other.row(facet, latent)).toEqual(index.row(facet, latent));
  expect(other.latentsOfToken(dense.ids[20]!)).toEqual(index.latentsOfToken(dense.ids[20]!));
  other.close();
  const stop = new AbortController();
  const stopped = build("stopped", { memoryMib: 1 }, stop.signal);
  const folder = join(scratch, "stopped/index");
  const watch = setInterval(() => {
    if (
      readdirSync(scratch).includes("stopped") &&
      files(folder).includes("postings-00000.safetensors")
    )
      stop.abort();
  }, 2);
  await expect(stopped).rejects.toThrow(/abort/i);
  clearInterval(watch);
  expect(files(folder)).not.toContain("index.json");
  const again = await build("stopped", { memoryMib: 1 });
  expect(again.key).toBe(small.key);
  for (const name of files(small.folder).filter((it) => it.endsWith(".safetensors")))
    expect(readFileSync(join(folder, name)).equals(readFileSync(join(small.folder, name)))).toBe(
      true,
    );
  expect(await build("stopped", { memoryMib: 1 })).toMatchObject({ wasFinished: true });
  await expect(build("stopped", { memoryMib: 2 })).rejects.toThrow("run.jsonc that says otherwise");
});

test("a query reads little and takes less than 50 ms", () => {
  const fresh = new LatentIndex(index.folder);
  const times: number[] = [];
  for (let latent = 0; latent < d_sae; latent += 50) {
    const started = performance.now();
    const row = fresh.row("contexts", latent)!;
    for (const facet of facets) fresh.row(facet, latent);
    fresh.tokenTexts(fresh.tokens(row["start"]![0]!, row["start"]![0]! + row["length"]![0]!));
    times.push(performance.now() - started);
  }
  // The median: a machine that does other things makes single ones wait.
  expect(times.toSorted((a, b) => a - b)[times.length >> 1]).toBeLessThan(50);
  fresh.close();
});

test("10 M tokens and 65,536 latents stay within the setting", () => {
  const scale = {
    d_sae: 65_536,
    d_vocab: 256_000,
    d: 2304,
    tokens: 10_000_000,
    sizes: defaultSizes,
  };
  const cuts = indexCuts(4 * 2 ** 30, scale);
  expect(indexMemory(4 * 2 ** 30, scale)).toBeLessThan(4 * 2 ** 30);
  expect(cuts.partEntries).toBeGreaterThan(scale.tokens);
  expect(Math.ceil(65_536 / cuts.coactiveLatents)).toBeLessThan(12);
  // What a part of this build holds at most is what was reckoned.
  expect(
    Math.max(...index.manifest.parts.contexts.map(({ from, to }) => to - from)),
  ).toBeLessThanOrEqual(indexCuts(4 * 2 ** 30, { ...scale, d_sae, d_vocab }).partLatents);
});

function files(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return aa === 0 || bb === 0 ? 0 : dot / Math.sqrt(aa * bb);
}
