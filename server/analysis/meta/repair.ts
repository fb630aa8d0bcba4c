/**
 * Repair of absorption by meta-latents: a latent that absorbed a feature should have that feature among its parts. For each
 * absorber the part that points most along the probe is taken (with the cosine that SAEBench's rule asks of absorbers, 0.1, at least); the repaired reading says that a feature is present if a main latent
 * fires, or any active latent whose breakdown holds one of those parts. The control gives latents the breakdowns of others: what
 * it finds is owed to the number of members alone.
 */
import type { SparseActs } from "../../sae/sae.ts";
import { projectionRule } from "../absorption/projection-rule.ts";
import { type Scores, scoresOf } from "../probes/scores.ts";

/** Meta-latents of each latent of the parent. */
export type Parts = (latent: number) => readonly number[];

/** What is to be repaired, for one label. */
export interface RepairCase {
  /** Active latents of the words that are judged. */
  readonly acts: SparseActs;
  /** Which of them have the label. */
  readonly truth: Uint8Array;
  readonly main: readonly number[];
  readonly absorbers: readonly number[];
  /** Cosine of each meta-latent's decoder row with the probe's direction. `[d_sae of the meta-SAE]` */
  readonly metaCosines: Float32Array;
}

/** A reading's answers against the truth, before and after. */
export interface Repaired {
  /** Of each absorber, the part nearest the probe; undefined where the absorber has no part along it. */
  readonly parts: readonly {
    readonly absorber: number;
    readonly part: number | undefined;
    readonly cosine: number;
  }[];
  readonly before: Scores;
  readonly after: Scores;
  /** Means over shuffles of which latent has which breakdown. */
  readonly control: { readonly precision: number; readonly recall: number; readonly f1: number };
}

const shuffles = 5;

/** Reads the words with and without the absorbers' parts. `nLatents`: of the parent, for the control. */
export function repair(
  given: RepairCase,
  parts: Parts,
  { nLatents, random }: { readonly nLatents: number; readonly random: () => number },
): Repaired {
  const { truth, absorbers } = given;
  const none = scoresOf(reading(given, parts, new Set()), truth);
  const chosen = absorbers.map((absorber) => nearest(absorber, parts, given.metaCosines));
  const wanted = (list: typeof chosen): Set<number> =>
    new Set(list.flatMap(({ part }) => part ?? []));
  const after = scoresOf(reading(given, parts, wanted(chosen)), truth);
  const sums = { precision: 0, recall: 0, f1: 0 };
  for (let shuffle = 0; shuffle < shuffles; shuffle++) {
    const order = permutation(nLatents, random);
    const others: Parts = (latent) => parts(order[latent]!);
    const found = absorbers.map((absorber) => nearest(absorber, others, given.metaCosines));
    const scores = scoresOf(reading(given, others, wanted(found)), truth);
    for (const key of ["precision", "recall", "f1"] as const) sums[key] += scores[key] / shuffles;
  }
  return { parts: chosen, before: none, after, control: sums };
}

/** The part of an absorber with the largest cosine with the probe, if any points along it. */
function nearest(absorber: number, parts: Parts, cosines: Float32Array): Repaired["parts"][number] {
  let best: { part: number | undefined; cosine: number } = { part: undefined, cosine: 0 };
  for (const part of parts(absorber))
    if (cosines[part]! > best.cosine && cosines[part]! >= projectionRule.absorberCosine)
      best = { part, cosine: cosines[part]! };
  return { absorber, ...best };
}

/** Whether a main latent fires at a word, or a latent with one of the parts. */
function reading({ acts, main }: RepairCase, parts: Parts, wanted: ReadonlySet<number>): boolean[] {
  const { offsets, latents } = acts;
  const known = new Map<number, boolean>();
  const speaks = (latent: number): boolean => {
    const before = known.get(latent);
    if (before !== undefined) return before;
    const now = main.includes(latent) || parts(latent).some((part) => wanted.has(part));
    known.set(latent, now);
    return now;
  };
  return Array.from({ length: offsets.length - 1 }, (_, row) =>
    latents.subarray(offsets[row], offsets[row + 1]).some((latent) => speaks(latent)),
  );
}

/** 0 … n − 1 in random order (Fisher and Yates). */
function permutation(n: number, random: () => number): Int32Array {
  const order = Int32Array.from({ length: n }, (_, at) => at);
  for (let at = n - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  return order;
}
