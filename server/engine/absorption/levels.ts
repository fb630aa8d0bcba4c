/**
 * Which decomposition helps for a labelled task: SAEs of several widths, and meta-latents of each, by how short they describe
 * the activations, how much they lose, and how well their best one to four latents say which words have a label.
 */
import { range } from "../../analysis/cosines.ts";
import { breakDown, directionsOf } from "../../analysis/meta/breakdown.ts";
import { type Memberships, ontoMetaLatents } from "../../analysis/meta/onto-meta-latents.ts";
import { differingLatents, kSparseProbes } from "../../analysis/probes/k-sparse.ts";
import { columnOf } from "../../analysis/probes/linear-probe.ts";
import type { Sae, SparseActs } from "../../sae/sae.ts";
import { SparseRows } from "../../sae/sparse-acts.ts";
import { tensor } from "../../tensor/tensor.ts";
import type { LoadedSae } from "../loaded.ts";
import type { ProbeStage } from "./word-activations.ts";
import type { WordRows, Work } from "./word-plan.ts";

/** One level of decomposition. */
export interface Level {
  readonly sae: string;
  /** The meta-SAE whose meta-latents stand for the SAE's latents; absent for the SAE itself. */
  readonly meta?: string;
  readonly latents: number;
  /** Mean active latents of a held-out word. */
  readonly l0: number;
  /** Σ‖x − x_hat‖² / Σ‖x − mean x‖² over held-out words. */
  readonly fvu: number;
  /** Bits to name the active latents of a word and to say their activations: L0 · (log2 latents + `valueBits`). */
  readonly bits: number;
  /** Mean F1 over labels, on held-out words, of probes on the best one to four latents. */
  readonly f1: readonly number[];
}

/** Bits that an activation is taken to need. */
export const valueBits = 8;
const most = 4;
const pieceRows = 512;

/** The level of an SAE, and one for each of its meta-SAEs. */
export async function levelsOf(
  stage: ProbeStage,
  { sae, metas }: { sae: LoadedSae; metas: readonly LoadedSae[] },
  work: Work,
): Promise<Level[]> {
  const encode = ({ x }: WordRows): Promise<SparseActs> =>
    work.step(() => sae.sae.encode(rowsOf(x, stage.d), work.signal));
  const [train, test] = [await encode(stage.train), await encode(stage.test)];
  const x_hat = await work.step(() =>
    sae.sae.decode(test, rowsOf(stage.test.x, stage.d), work.signal),
  );
  const own = { sae: sae.id, latents: sae.info.d_sae, x_hat: x_hat.data };
  const levels = [levelOf(stage, { train, test }, own)];
  for (const meta of metas) {
    const { memberships, bias } = await membershipsOf({ sae, meta }, work);
    const acts = {
      train: ontoMetaLatents(train, memberships),
      test: ontoMetaLatents(test, memberships),
    };
    const through = await reconstructed(
      { sae: sae.sae, meta: meta.sae },
      { test, onto: acts.test, memberships, bias },
      work,
    );
    const names = { sae: sae.id, meta: meta.id, latents: meta.info.d_sae, x_hat: through };
    levels.push(levelOf(stage, acts, names));
  }
  return levels;
}

function levelOf(
  { train, test, d }: ProbeStage,
  acts: { readonly train: SparseActs; readonly test: SparseActs },
  { x_hat, ...names }: { sae: string; meta?: string; latents: number; x_hat: Float32Array },
): Level {
  const { latents } = names;
  const l0 = acts.test.latents.length / test.words.length;
  const labelled = {
    train: { acts: acts.train, labels: train.labels },
    test: { acts: acts.test, labels: test.labels },
  };
  const sums = Array.from({ length: most }, () => 0);
  let labels = 0;
  for (let label = 0; label < train.labels.nLabels; label++) {
    const both = [train.labels, test.labels].every((it) => {
      const positives = columnOf(it, label).reduce((sum, has) => sum + has, 0);
      return positives > 0 && positives < it.nRows;
    });
    if (!both) continue;
    const best = differingLatents(labelled.train, label, { d_sae: latents, k: most });
    const { byK } = kSparseProbes(best, label, labelled);
    for (let k = 0; k < most; k++) sums[k]! += byK[Math.min(k, byK.length - 1)]!.scores.f1;
    labels++;
  }
  return {
    ...names,
    l0,
    fvu: fvuOf(test.x, x_hat, d),
    bits: l0 * (Math.log2(latents) + valueBits),
    f1: sums.map((sum) => sum / Math.max(1, labels)),
  };
}

/** Breakdowns of all latents, and what the meta-SAE's own bias adds to each direction. */
async function membershipsOf(
  { sae, meta }: { sae: LoadedSae; meta: LoadedSae },
  { step, signal }: Work,
): Promise<{ memberships: Memberships; bias: Float32Array }> {
  const { d_sae, d_out } = sae.sae.config;
  const rows = new SparseRows(d_sae);
  const norms = new Float32Array(d_sae);
  for (let from = 0; from < d_sae; from += pieceRows) {
    const piece = range(from, Math.min(from + pieceRows, d_sae));
    const { acts } = await step(() => breakDown(meta.sae, directionsOf(sae.sae, piece), signal));
    const decoder = sae.sae.decoderRows(piece);
    for (const [at, latent] of piece.entries()) {
      const [first, end] = [acts.offsets[at]!, acts.offsets[at + 1]!];
      rows.set(latent, acts.latents.slice(first, end), acts.acts.slice(first, end));
      norms[latent] = Math.hypot(...decoder.subarray(at * d_out, (at + 1) * d_out));
    }
  }
  const nothing = {
    offsets: new Int32Array(2),
    latents: new Int32Array(),
    acts: new Float32Array(),
  };
  const bias = await step(() => meta.sae.decode(nothing, undefined, signal));
  return { memberships: { acts: rows.finish(), norms }, bias: bias.data };
}

/** x_hat from meta-latents: b_dec + Σ act_i ‖W_dec_i‖ (Σ_m …·W_dec_m + the meta-SAE's bias). */
async function reconstructed(
  { sae, meta }: { sae: Sae; meta: Sae },
  given: { test: SparseActs; onto: SparseActs; memberships: Memberships; bias: Float32Array },
  { step, signal }: Work,
): Promise<Float32Array> {
  const { test, onto, memberships, bias } = given;
  const d = bias.length;
  const nRows = test.offsets.length - 1;
  const empty = {
    offsets: new Int32Array(2),
    latents: new Int32Array(),
    acts: new Float32Array(),
  };
  const b_dec = (await step(() => sae.decode(empty, undefined, signal))).data;
  const sum = await step(() => meta.decode(onto, undefined, signal));
  const result = Float32Array.from(sum.data);
  for (let row = 0; row < nRows; row++) {
    let strength = 0;
    for (let entry = test.offsets[row]!; entry < test.offsets[row + 1]!; entry++)
      strength += test.acts[entry]! * memberships.norms[test.latents[entry]!]!;
    // The decoder has added the bias once; it belongs to every active latent by its strength.
    for (let at = 0; at < d; at++) result[row * d + at]! += b_dec[at]! + (strength - 1) * bias[at]!;
  }
  return result;
}

function fvuOf(x: Float32Array, x_hat: Float32Array, d: number): number {
  const sum = new Float64Array(d);
  let [error, squares] = [0, 0];
  for (const [at, value] of x.entries()) {
    sum[at % d]! += value;
    squares += value * value;
    error += (value - x_hat[at]!) ** 2;
  }
  const ofMean = sum.reduce((total, it) => total + it * it, 0) / (x.length / d);
  return error / (squares - ofMean);
}

function rowsOf(x: Float32Array, d: number): ReturnType<typeof tensor<"float32">> {
  return tensor("float32", [x.length / d, d], x as Float32Array<ArrayBuffer>);
}
