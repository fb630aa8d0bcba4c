/**
 * Latents that tell two sets of examples apart. Each example is one row: the pooled activations of its tokens, and their mean
 * residual. Half of each set, drawn by a seed, chooses latents and fits probes; every score is of the other half. Latents
 * are ranked by how far their area under the ROC curve lies from one half; combinations of up to four are k-sparse probes
 * (Gurnee et al. 2023, arXiv:2305.01610); beside them a logistic regression on the mean residual (as SAEBench's sparse
 * probing pools it) says what can be had without latents.
 */
import { UserError } from "../../base/errors.ts";
import { SeededRandom } from "../../base/seeded-random.ts";
import type { FoundCombination, FoundLatent, FoundLatents, HeldOut } from "../../protocol/find.ts";
import { type SparseActs, SparseRows } from "../../sae/sparse-acts.ts";
import {
  columnsOf,
  differingLatents,
  kSparseProbes,
  type LabelledActs,
} from "../probes/k-sparse.ts";
import { fitLinearProbe } from "../probes/linear-fit.ts";
import { oneHot, probeLogits, type RowLabels } from "../probes/linear-probe.ts";
import { areaUnderCurve, bestThreshold, scoresOf } from "../probes/scores.ts";
import { shuffled } from "../shuffled.ts";

/** Examples as rows. */
export interface ExampleRows {
  /** Pooled |activations|. */
  readonly acts: SparseActs;
  /** Mean residual. `[examples, d]` */
  readonly x: Float32Array;
  readonly d: number;
  /** 1 for the first set. `[examples]` */
  readonly positive: Uint8Array;
}

/** Fewer of a set cannot be halved into something to choose by and something to hold out. */
const fewest = 4;
/** With fewer held-out examples of a set a score moves in coarse steps. */
const fewHeldOut = 10;
const mostTogether = 4;

/** What a half of the examples is. */
interface Half extends LabelledActs {
  readonly x: Float32Array;
  readonly truth: Uint8Array;
}

/** Chooses by one half, scores on the other. */
export function findLatents(
  rows: ExampleRows,
  { d_sae, seed, most }: { d_sae: number; seed: number; most: number },
): Omit<FoundLatents, "sae" | "pool"> {
  const positives = rows.positive.reduce((sum, it) => sum + it, 0);
  const negatives = rows.positive.length - positives;
  if (positives < fewest || negatives < fewest)
    throw new UserError(
      "too-few-examples",
      `there are ${positives} and ${negatives} examples: each set needs ${fewest}, half of which are held out, and 20 for figures to mean much`,
    );
  const { train, test } = halves(rows, seed);
  const held = test.truth.reduce((sum, it) => sum + it, 0);
  const ranked = rank(train).slice(0, most);
  const scored = ranked.map((it) => scoredOne(it, { rows, train, test }));
  const byK = combinations(train, test, d_sae);
  const heldOut = { heldPositives: held, heldNegatives: test.truth.length - held };
  return {
    seed,
    positives,
    negatives,
    ...heldOut,
    latents: scored,
    combinations: byK,
    baseline: baseline(rows.d, train, test),
    notes: notesOf(heldOut, ranked),
  };
}

/** A latent with its figure on the half that chooses. */
interface Ranked {
  readonly latent: number;
  readonly set: FoundLatent["set"];
  readonly trainAuc: number;
  readonly difference: number;
}

/** Latents that fire on the half, the best first; ties by the difference of means in units of its spread. */
function rank({ acts, truth }: Half): Ranked[] {
  const latents = [...new Set(acts.latents)].toSorted((a, b) => a - b);
  const found: Ranked[] = [];
  const columns = byLatent(acts);
  for (const latent of latents) {
    const column = columnOf(columns, latent, truth.length);
    const auc = areaUnderCurve(column, truth);
    const set = auc >= 0.5 ? "positive" : "negative";
    const trainAuc = Math.max(auc, 1 - auc);
    found.push({ latent, set, trainAuc, difference: standardizedDifference(column, truth) });
  }
  return found.sort(
    (a, b) => b.trainAuc - a.trainAuc || b.difference - a.difference || a.latent - b.latent,
  );
}

function scoredOne(
  { latent, set, trainAuc }: Ranked,
  { rows, train, test }: { rows: ExampleRows; train: Half; test: Half },
): FoundLatent {
  // Turned so that it always fires more in the set of 1.
  const turned = ({ truth }: { truth: Uint8Array }): Uint8Array =>
    set === "positive" ? truth : truth.map((it) => 1 - it);
  const [before, behind] = [columnsOf(train.acts, [latent]), columnsOf(test.acts, [latent])];
  const { threshold } = bestThreshold(before, turned(train));
  const says = Array.from(behind, (act) => act > threshold);
  const all = columnsOf(rows.acts, [latent]);
  const meanOf = (of: 0 | 1, value: (act: number) => number): number => {
    const own = all.filter((_, row) => rows.positive[row] === of);
    return own.reduce((sum, act) => sum + value(act), 0) / own.length;
  };
  return {
    latent,
    set,
    trainAuc,
    auc: areaUnderCurve(behind, turned(test)),
    f1: scoresOf(says, turned(test)).f1,
    positiveMean: meanOf(1, (act) => act),
    negativeMean: meanOf(0, (act) => act),
    positiveShare: meanOf(1, (act) => Number(act > 0)),
    negativeShare: meanOf(0, (act) => Number(act > 0)),
  };
}

/** Probes on the one to four latents that differ most towards the first set. */
function combinations(train: Half, test: Half, d_sae: number): FoundCombination[] {
  if (train.acts.latents.length === 0) return [];
  const best = differingLatents(train, 0, { d_sae, k: Math.min(mostTogether, d_sae) });
  return kSparseProbes(best, 0, { train, test }).byK.map(({ latents, weights, bias, scores }) => {
    const x = columnsOf(test.acts, latents);
    const logits = Array.from(test.truth, (_, row) =>
      latents.reduce(
        (sum, _latent, at) => sum + weights[at]! * x[row * latents.length + at]!,
        bias,
      ),
    );
    return { latents, auc: areaUnderCurve(logits, test.truth), f1: scores.f1 };
  });
}

function baseline(d: number, train: Half, test: Half): HeldOut {
  const probe = fitLinearProbe({ d, x: train.x }, train.labels, {
    loss: "one-vs-rest",
    C: 1,
    standardize: true,
  });
  const logits = probeLogits(probe, test.x);
  const says = Array.from(logits, (logit) => logit > 0);
  return { auc: areaUnderCurve(logits, test.truth), f1: scoresOf(says, test.truth).f1 };
}

/** Half of each set each, in random order; an odd one is there to choose by. */
function halves({ acts, x, d, positive }: ExampleRows, seed: number): { train: Half; test: Half } {
  const random = new SeededRandom(seed, 31);
  const [trainRows, testRows]: [number[], number[]] = [[], []];
  for (const set of [1, 0]) {
    const own = Array.from(positive, (_, row) => row).filter((row) => positive[row] === set);
    const mixed = Array.from(shuffled(own.length, random), (at) => own[at]!);
    const middle = Math.ceil(mixed.length / 2);
    trainRows.push(...mixed.slice(0, middle));
    testRows.push(...mixed.slice(middle));
  }
  const part = (list: readonly number[]): Half => {
    const kept = new SparseRows(list.length);
    const own = new Float32Array(list.length * d);
    for (const [at, row] of list.entries()) {
      const range = [acts.offsets[row]!, acts.offsets[row + 1]!] as const;
      kept.set(at, acts.latents.slice(...range), acts.acts.slice(...range));
      own.set(x.subarray(row * d, (row + 1) * d), at * d);
    }
    const truth = Uint8Array.from(list, (row) => positive[row]!);
    const labels: RowLabels = oneHot(
      Array.from(truth, (it) => it - 1),
      1,
    );
    return { acts: kept.finish(), x: own, truth, labels };
  };
  return { train: part(trainRows), test: part(testRows) };
}

function notesOf(
  { heldPositives, heldNegatives }: { heldPositives: number; heldNegatives: number },
  ranked: readonly Ranked[],
): string[] {
  const notes: string[] = [];
  const least = Math.min(heldPositives, heldNegatives);
  const pairs = heldPositives * heldNegatives;
  if (least < fewHeldOut)
    notes.push(
      `only ${heldPositives} and ${heldNegatives} examples are held out: an AUC moves in steps of 1/${pairs}, and a good one may be luck; more examples make it worth something`,
    );
  const perfect = ranked.filter(({ trainAuc }) => trainAuc === 1).length;
  if (perfect > 1 && least < fewHeldOut)
    notes.push(
      `${perfect} latents tell the examples that choose apart without a mistake, so which of them comes first is nearly chance`,
    );
  if (ranked.length === 0) notes.push("no latent fires on any of the examples");
  return notes;
}

/** Rows and activations of each latent. */
function byLatent({
  offsets,
  latents,
  acts,
}: SparseActs): Map<number, [row: number, act: number][]> {
  const columns = new Map<number, [number, number][]>();
  for (let row = 0; row < offsets.length - 1; row++)
    for (let at = offsets[row]!; at < offsets[row + 1]!; at++) {
      const column = columns.get(latents[at]!) ?? [];
      columns.set(latents[at]!, column);
      column.push([row, acts[at]!]);
    }
  return columns;
}

function columnOf(
  columns: ReadonlyMap<number, readonly [number, number][]>,
  latent: number,
  rows: number,
): Float32Array {
  const column = new Float32Array(rows);
  for (const [row, act] of columns.get(latent) ?? []) column[row] = act;
  return column;
}

/** |difference of means| over the deviation of all rows. */
function standardizedDifference(column: Float32Array, truth: Uint8Array): number {
  let [sum, squares] = [0, 0];
  const sums = [0, 0];
  const counts = [0, 0];
  for (const [row, act] of column.entries()) {
    sum += act;
    squares += act * act;
    sums[truth[row]!]! += act;
    counts[truth[row]!]!++;
  }
  const variance = squares / column.length - (sum / column.length) ** 2;
  const difference = Math.abs(sums[1]! / counts[1]! - sums[0]! / counts[0]!);
  return variance > 0 ? difference / Math.sqrt(variance) : 0;
}
