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
import type { Level } from "../../protocol/decompositions.ts";
import type { LoadedSae } from "../loaded.ts";
import type { ProbeStage } from "./word-activations.ts";
import type { WordRows, Work } from "./word-plan.ts";

/** Active latents of both sets of words at one level. */
interface Decomposed {
  /** The SAE or meta-SAE whose latents they are. */
  readonly of: LoadedSae;
  /** The meta-SAEs from this level down to the SAE, which is not among them. */
  readonly metas: readonly string[];
  readonly train: SparseActs;
  readonly test: SparseActs;
  /** What x_hat of held-out words has besides the latents' decoder rows. `[words, d]` */
  readonly offset: Float32Array;
}

/** Bits that an activation is taken to need. */
export const valueBits = 8;
const most = 4;
const pieceRows = 512;

/** The level of an SAE, and one for each of its meta-SAEs; a meta-SAE of one of these takes that one's meta-latents apart. */
export async function levelsOf(
  stage: ProbeStage,
  { sae, metas }: { sae: LoadedSae; metas: readonly LoadedSae[] },
  work: Work,
): Promise<Level[]> {
  const done = (): void => work.onProgress("latents", levels.length / (metas.length + 1));
  const levels: Level[] = [];
  const encode = ({ x }: WordRows): Promise<SparseActs> =>
    work.step(() => sae.sae.encode(rowsOf(x, stage.d), work.signal));
  const [train, test] = [await encode(stage.train), await encode(stage.test)];
  const x_hat = await work.step(() =>
    sae.sae.decode(test, rowsOf(stage.test.x, stage.d), work.signal),
  );
  const offset = await ofNothing(sae.sae, stage.test.words.length, work);
  const known = [{ of: sae, metas: [], train, test, offset } as Decomposed];
  levels.push(await levelOf(stage, { decomposed: known[0]!, sae, x_hat: x_hat.data }, work));
  done();
  for (const meta of parentsFirst(metas)) {
    const parent = known.find(({ of }) => of.id === meta.info.metaOf) ?? known[0]!;
    const { decomposed, x_hat: through } = await takenApart(parent, meta, work);
    known.push(decomposed);
    levels.push(await levelOf(stage, { decomposed, sae, x_hat: through }, work));
    done();
  }
  return levels;
}

/** Meta-SAEs behind those whose decoder rows they read. */
function parentsFirst(metas: readonly LoadedSae[]): LoadedSae[] {
  const ordered: LoadedSae[] = [];
  let rest = [...metas];
  while (rest.length > 0) {
    const waits = (it: LoadedSae): boolean =>
      rest.some((other) => other !== it && other.id === it.info.metaOf);
    const ready = rest.filter((it) => !waits(it));
    // Files that name each other as parents are taken as they come.
    ordered.push(...(ready.length > 0 ? ready : rest));
    rest = ready.length > 0 ? rest.filter((it) => waits(it)) : [];
  }
  return ordered;
}

/** x_hat of a token without active latents, for each row. `[rows, d]` */
async function ofNothing(sae: Sae, nRows: number, { step, signal }: Work): Promise<Float32Array> {
  const { data } = await step(() => sae.decode(nothing(1), undefined, signal));
  const rows = new Float32Array(nRows * data.length);
  for (let row = 0; row < nRows; row++) rows.set(data, row * data.length);
  return rows;
}

function nothing(nRows: number): SparseActs {
  return {
    offsets: new Int32Array(nRows + 1),
    latents: new Int32Array(),
    acts: new Float32Array(),
  };
}

async function levelOf(
  { train, test, d }: ProbeStage,
  given: { readonly decomposed: Decomposed; readonly sae: LoadedSae; readonly x_hat: Float32Array },
  { step }: Work,
): Promise<Level> {
  const { decomposed, sae, x_hat } = given;
  const [meta, ...through] = decomposed.metas;
  const latents = decomposed.of.info.d_sae;
  const l0 = decomposed.test.latents.length / test.words.length;
  const labelled = {
    train: { acts: decomposed.train, labels: train.labels },
    test: { acts: decomposed.test, labels: test.labels },
  };
  const sums = Array.from({ length: most }, () => 0);
  let labels = 0;
  for (let label = 0; label < train.labels.nLabels; label++) {
    const both = [train.labels, test.labels].every((it) => {
      const positives = columnOf(it, label).reduce((sum, has) => sum + has, 0);
      return positives > 0 && positives < it.nRows;
    });
    if (!both) continue;
    // A label at a time, so that hovers get in between.
    const { byK } = await step(async () => {
      const best = differingLatents(labelled.train, label, { d_sae: latents, k: most });
      return kSparseProbes(best, label, labelled);
    });
    for (let k = 0; k < most; k++) sums[k]! += byK[Math.min(k, byK.length - 1)]!.scores.f1;
    labels++;
  }
  return {
    sae: sae.id,
    ...(meta === undefined ? {} : { meta }),
    ...(through.length === 0 ? {} : { through }),
    latents,
    l0,
    fvu: fvuOf(test.x, x_hat, d),
    bits: l0 * (Math.log2(latents) + valueBits),
    f1: sums.map((sum) => sum / Math.max(1, labels)),
  };
}

/**
 * A level's latents taken apart by a meta-SAE. x_hat = offset + Σ act_i ‖W_dec_i‖ (Σ_m …·W_dec_m + the meta-SAE's bias), where the
 * biases are the next level's offset.
 */
async function takenApart(
  parent: Decomposed,
  meta: LoadedSae,
  work: Work,
): Promise<{ decomposed: Decomposed; x_hat: Float32Array }> {
  const { step, signal } = work;
  const { memberships, bias } = await membershipsOf({ sae: parent.of, meta }, work);
  const [train, test] = [parent.train, parent.test].map((it) => ontoMetaLatents(it, memberships));
  const sum = await step(() => meta.sae.decode(test!, undefined, signal));
  const offset = Float32Array.from(parent.offset);
  const x_hat = Float32Array.from(sum.data);
  const d = bias.length;
  for (let row = 0; row < test!.offsets.length - 1; row++) {
    let strength = 0;
    for (let entry = parent.test.offsets[row]!; entry < parent.test.offsets[row + 1]!; entry++)
      strength += parent.test.acts[entry]! * memberships.norms[parent.test.latents[entry]!]!;
    for (let at = 0; at < d; at++) {
      offset[row * d + at]! += strength * bias[at]!;
      // The decoder has added its bias once.
      x_hat[row * d + at]! += offset[row * d + at]! - bias[at]!;
    }
  }
  const metas = [meta.id, ...parent.metas];
  return { decomposed: { of: meta, metas, train: train!, test: test!, offset }, x_hat };
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
  const bias = await step(() => meta.sae.decode(nothing(1), undefined, signal));
  return { memberships: { acts: rows.finish(), norms }, bias: bias.data };
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
