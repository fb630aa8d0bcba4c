/** Repair of an SAE's absorption on a labelled task by a meta-SAE: absorbers are found on training words, judged on others. */
import { projectionReading } from "../../analysis/absorption/projection-rule.ts";
import { breakDown, directionsOf } from "../../analysis/meta/breakdown.ts";
import { type Parts, repair } from "../../analysis/meta/repair.ts";
import { range, requireSameSpace, decoderDirections } from "../../analysis/cosines.ts";
import { columnOf, dot } from "../../analysis/probes/linear-probe.ts";
import { SeededRandom } from "../../base/seeded-random.ts";
import type { RepairedLabel } from "../../protocol/decompositions.ts";
import type { SparseActs } from "../../sae/sae.ts";
import { tensor } from "../../tensor/tensor.ts";
import type { LoadedSae } from "../loaded.ts";
import { directionCosines } from "./measure-sae.ts";
import type { MeasuredSae } from "./run.ts";
import type { WordRows, Work } from "./word-plan.ts";

/** Latents whose breakdowns are looked up at a time. */
const pieceRows = 512;

/** Every label that has main latents; labels without absorbers stay as they are. */
export async function repairAbsorption(
  { plan, stage, report }: MeasuredSae,
  { sae, meta }: { sae: LoadedSae; meta: LoadedSae },
  work: Work,
): Promise<RepairedLabel[]> {
  requireSameSpace(decoderDirections(meta.sae), decoderDirections(sae.sae), sae.id);
  const encode = ({ x }: WordRows): Promise<SparseActs> =>
    work.step(() =>
      sae.sae.encode(tensor("float32", [x.length / stage.d, stage.d], x), work.signal),
    );
  const [train, test] = [await encode(stage.train), await encode(stage.test)];
  const parts = await partsOf({ sae, meta }, work);
  const cosines = await directionCosines(sae.sae, stage, work.step);
  const metaCosines = await directionCosines(meta.sae, stage, work.step);
  const random = new SeededRandom(plan.seed);
  const repaired: RepairedLabel[] = [];
  for (const { label: name, main: found } of report.labels) {
    const label = plan.task.labels.indexOf(name);
    const main = found.map(({ latent }) => latent);
    const absorbers = absorbersAmong(train, { stage, label, main, cosines: cosines[label]! });
    const given = {
      acts: test,
      truth: columnOf(stage.test.labels, label),
      main,
      absorbers,
      metaCosines: metaCosines[label]!,
    };
    const how = { nLatents: sae.info.d_sae, random: () => random.uniform() };
    repaired.push({ label: name, main, ...repair(given, parts, how) });
  }
  return repaired;
}

/** Latents that took over at least one training word with the label, fully or in part. */
function absorbersAmong(
  acts: SparseActs,
  {
    stage: { train, probe, d },
    label,
    main,
    cosines,
  }: { stage: MeasuredSae["stage"]; label: number; main: readonly number[]; cosines: Float32Array },
): number[] {
  const direction = probe.weights.subarray(label * d, (label + 1) * d);
  const norm = Math.sqrt(dot(direction, 0, { b: direction, bAt: 0, n: d })) || 1;
  const found = new Set<number>();
  for (const [row, { labels }] of train.words.entries()) {
    if (!labels.includes(label)) continue;
    const [from, to] = [acts.offsets[row]!, acts.offsets[row + 1]!];
    const projection = dot(train.x, row * d, { b: direction, bAt: 0, n: d }) / norm;
    const active = { latents: acts.latents.subarray(from, to), acts: acts.acts.subarray(from, to) };
    const { strongest, isFull, isPartial } = projectionReading(active, {
      cosines,
      main,
      projection,
    });
    const absorber = strongest.find(({ latent }) => !main.includes(latent));
    if (absorber && (isFull || isPartial)) found.add(absorber.latent);
  }
  return [...found];
}

/** The meta-latents of every latent. */
async function partsOf(
  { sae, meta }: { sae: LoadedSae; meta: LoadedSae },
  { step, signal }: Work,
): Promise<Parts> {
  const lists: Int32Array[] = [];
  for (let from = 0; from < sae.info.d_sae; from += pieceRows) {
    const rows = range(from, Math.min(from + pieceRows, sae.info.d_sae));
    const { acts } = await step(() => breakDown(meta.sae, directionsOf(sae.sae, rows), signal));
    for (const row of rows.keys())
      lists.push(acts.latents.slice(acts.offsets[row], acts.offsets[row + 1]));
  }
  return (latent) => [...(lists[latent] ?? [])];
}
