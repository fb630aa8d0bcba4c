/**
 * Labels of the demo's present SAEs for SAEs that were trained anew. A label is kept for a latent whose direction is that
 * of the labelled one: each is the other's nearest by cosine of decoder rows, and the cosine is 0.7 or more (the bound of Leask
 * et al. 2025, arXiv:2502.04878, for latents of two SAEs that are the same). All others lose their labels: a label says what a reader
 * saw in the latent's own contexts.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors } from "../server/encoding/safetensors.ts";
import { toFloat32 } from "../server/tensor/half.ts";

const sameCosine = 0.7;

type Labels = Readonly<Record<string, { readonly label: string } & Record<string, unknown>>>;

/** What came of the labels. */
export interface CarriedLabels {
  readonly labels: Labels;
  readonly before: number;
  /** Of all latents of the SAE, labelled or not: share with a counterpart by the same rule. */
  readonly sameShare: number;
}

/** Reads both SAEs. `latentsOf`: for meta-SAEs, where the latents that a label lists have gone. */
export function carryLabels(
  before: string,
  now: string,
  latentsOf?: ReadonlyMap<number, number>,
): CarriedLabels & { readonly counterparts: ReadonlyMap<number, number> } {
  const counterparts = counterpartsOf(unitRows(before), unitRows(now));
  const old = JSON.parse(readFileSync(join(before, "labels.json"), "utf8")) as Labels;
  const kept = Object.entries(old).flatMap(([latent, entry]) => {
    const counterpart = counterparts.get(Number(latent));
    return counterpart === undefined
      ? []
      : [[String(counterpart), moved(entry, latentsOf)] as const];
  });
  return {
    labels: Object.fromEntries(kept.toSorted(([a], [b]) => Number(a) - Number(b))),
    before: Object.keys(old).length,
    sameShare: counterparts.size / unitRows(now).n,
    counterparts,
  };
}

/** A meta-latent's label lists latents of the parent by their numbers. */
function moved(
  entry: Labels[string],
  latentsOf: ReadonlyMap<number, number> | undefined,
): Labels[string] {
  const { topLatents, topTokens, ...rest } = entry;
  if (!Array.isArray(topLatents) || !Array.isArray(topTokens) || !latentsOf) return entry;
  const pairs = topLatents.flatMap((latent: number, at) => {
    const now = latentsOf.get(latent);
    return now === undefined ? [] : [{ now, token: topTokens[at] as unknown }];
  });
  return {
    ...rest,
    topLatents: pairs.map(({ now }) => now),
    topTokens: pairs.map(({ token }) => token),
  };
}

interface Rows {
  readonly n: number;
  readonly width: number;
  /** Of norm 1. `[n, width]` */
  readonly rows: Float32Array;
}

function unitRows(folder: string): Rows {
  const W_dec = readSafetensors(readFileSync(join(folder, "sae_weights.safetensors"))).get("W_dec");
  if (!W_dec) throw new Error(`${folder} has no W_dec`);
  const [n = 0, width = 0] = W_dec.dims;
  const rows = Float32Array.from(toFloat32(W_dec));
  for (let row = 0; row < n; row++) {
    const own = rows.subarray(row * width, (row + 1) * width);
    const norm = Math.sqrt(own.reduce((sum, it) => sum + it * it, 0));
    own.forEach((it, at) => (own[at] = it / Math.max(norm, 1e-12)));
  }
  return { n, width, rows };
}

/** Latents of both that are each other's nearest, from a's to b's. */
function counterpartsOf(a: Rows, b: Rows): Map<number, number> {
  const nearestOfA = new Int32Array(a.n).fill(-1);
  const nearestOfB = new Int32Array(b.n).fill(-1);
  const bestOfA = new Float32Array(a.n).fill(sameCosine);
  const bestOfB = new Float32Array(b.n).fill(sameCosine);
  for (let i = 0; i < a.n; i++) {
    for (let j = 0; j < b.n; j++) {
      let cosine = 0;
      for (let k = 0; k < a.width; k++)
        cosine += a.rows[i * a.width + k]! * b.rows[j * b.width + k]!;
      if (cosine >= bestOfA[i]!) [bestOfA[i], nearestOfA[i]] = [cosine, j];
      if (cosine >= bestOfB[j]!) [bestOfB[j], nearestOfB[j]] = [cosine, i];
    }
  }
  const pairs = Array.from(nearestOfA, (j, i) => [i, j] as const);
  return new Map(pairs.filter(([i, j]) => j >= 0 && nearestOfB[j] === i));
}
