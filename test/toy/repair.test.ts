/**
 * Repair on a toy that was trained, not made: an SAE whose children absorbed their parents, and a meta-SAE that was trained on its
 * decoder rows. What is present in a row is known.
 */
import { expect, test } from "vitest";
import { breakDown, directionsOf } from "../../server/analysis/meta/breakdown.ts";
import { repair } from "../../server/analysis/meta/repair.ts";
import { SeededRandom } from "../../server/base/seeded-random.ts";
import { openDevice } from "../../server/runtime/device.ts";
import { openSae } from "../../server/sae/sae.ts";
import { describeSae } from "../../server/toy/sae-description.ts";
import { parseTrainConfig } from "../../server/training/config.ts";
import { openTrainer } from "../../server/training/trainer.ts";
import { trainToy } from "./trained-toy.ts";

const rows = 2000;

test("parents that their children absorbed are read again through a trained meta-SAE", async () => {
  const { device } = await openDevice({ device: "cpu", threads: 1, memoryBudget: 2 ** 30 });
  const toy = await trainToy(
    device,
    { features: 20, parents: 2, children: 5, steps: 1500, hierarchy: 1, seed: 1 },
    { d_in: 24, features: { childFrequency: 0.04 }, sae: { lr: 0.01 } },
  );
  const { set, sae } = toy;
  const [n, d] = [set.features.length, set.d_in];
  const all = Array.from({ length: n }, (_, latent) => latent);
  const directions = directionsOf(sae, all);

  const meta = await trainedMeta(directions, device);
  const { acts: breakdowns } = await breakDown(meta, directions);
  const partsOf = (latent: number): number[] => [
    ...breakdowns.latents.subarray(breakdowns.offsets[latent], breakdowns.offsets[latent + 1]),
  ];
  const samples = set.test(rows);
  const acts = await sae.encode(samples.x);
  const random = new SeededRandom(1);
  const figures: string[] = [];
  const parents = [
    ...new Set(set.features.flatMap(({ link }) => (link?.kind === "child" ? [link.with] : []))),
  ];
  expect(parents).toHaveLength(2);
  for (const parent of parents) {
    const direction = set.directions.subarray(parent * d, (parent + 1) * d);
    const cosinesOf = (from: typeof sae): Float32Array =>
      Float32Array.from({ length: from.config.d_sae }, (_, latent) => {
        const row = from.decoderRows([latent]);
        const dot = row.reduce((sum, it, at) => sum + it * direction[at]!, 0);
        return dot / Math.hypot(...row);
      });
    const cosines = cosinesOf(sae);
    const main = cosines.indexOf(Math.max(...cosines));
    const absorbers = all.filter((it) => it !== main && cosines[it]! > 0.5);
    const truth = Uint8Array.from({ length: rows }, (_, row) =>
      samples.magnitudes[row * n + parent]! > 0 ? 1 : 0,
    );
    const found = repair(
      { acts, truth, main: [main], absorbers, metaCosines: cosinesOf(meta) },
      partsOf,
      { nLatents: n, random: () => random.uniform() },
    );
    expect(absorbers).toHaveLength(5);
    expect(found.before.precision).toBeGreaterThan(0.95);
    expect(found.before.recall).toBeLessThan(0.4);
    expect(found.after.precision).toBeGreaterThan(0.95);
    expect(found.after.recall).toBeGreaterThan(0.95);
    expect(found.control.f1).toBeLessThan(0.8);
    figures.push(
      `${absorbers.length} absorbers, ${(["before", "after", "control"] as const)
        .map((it) => `${it} ${found[it].precision.toFixed(2)}/${found[it].recall.toFixed(2)}`)
        .join(", ")}`,
    );
  }
  process.stdout.write(`repair of toys (precision/recall): ${figures.join("; ")}\n`);
  await sae.release();
  await meta.release();
  await device.close();
});

/**
 * Fewer meta-latents than decoder rows, so that it finds what rows share; with a threshold, so that rows of which it knows no part have
 * none (a TopK one, which gives every row one, brings precision down to that of the control).
 */
async function trainedMeta(
  rowsOf: ReturnType<typeof directionsOf>,
  device: Parameters<typeof openSae>[1],
): ReturnType<typeof openSae> {
  const config = parseTrainConfig(
    {
      architecture: "batchtopk",
      d_in: rowsOf.dims[1],
      d_sae: 8,
      k: 1,
      steps: 700,
      lr: 0.01,
      aux: null,
    },
    "a test",
  );
  const trainer = await openTrainer(config, device);
  for (let step = 0; step < config.steps; step++) await trainer.step(rowsOf);
  const { tensors, cfg } = trainer.finish();
  await trainer.release();
  return openSae(describeSae({ tensors, cfg }), device);
}
