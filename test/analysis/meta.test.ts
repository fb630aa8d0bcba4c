/** Meta-SAEs: figures of the published ones, plain loops, and a planted composition. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { breakDown, breakdownOf, directionsOf } from "../../server/analysis/meta/breakdown.ts";
import { compareMeta } from "../../server/analysis/meta/comparison.ts";
import { Decomposition } from "../../server/analysis/meta/decomposition.ts";
import { atOnce } from "../../server/analysis/pace.ts";
import { derivedLabel } from "../../server/protocol/meta.ts";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { loadSae } from "../../server/sae/load.ts";
import { openSae, type Sae } from "../../server/sae/sae.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { parseTrainConfig } from "../../server/training/config.ts";
import { openTrainer } from "../../server/training/trainer.ts";
import { demoSae } from "../engine/engine.ts";
import { describeWith, shared } from "../parts.ts";
import { seeded } from "../random.ts";
import { expectRows, readTensors, rows } from "../sae/golden-files.ts";
import { made } from "../sae/made-saes.ts";
import { rowsOf, toySae, unit, unitDirections } from "./toy-saes.ts";

let device: Device;
beforeAll(async () => {
  ({ device } = await openDevice({ device: "cpu", threads: 2, memoryBudget: 2 ** 31 }));
});
afterAll(() => device.close());

const open = async (path: string): Promise<Sae> => openSae(await loadSae(path), device);

describe("demo", () => {
  test("shares and cosines are those of plain loops, and the whole adds up to the README's 42 %", async () => {
    const [meta, parent] = [await open(demoSae("meta-512")), await open(demoSae("resid2-6144"))];
    const x = directionsOf(parent, [17, 5083]);
    const broken = await breakDown(meta, x);
    const { parts, explained, active } = breakdownOf(broken, 1, 5083, 99);
    expect(parts).toHaveLength(active);
    const d = [...x.data.subarray(192)];
    const error = (left: number): number => {
      const x_hat = [...broken.x_hat.data.subarray(192)];
      const part = parts.find(({ latent }) => latent === left);
      const row = part ? meta.decoderRows([left]) : new Float32Array(192);
      return d.reduce(
        (sum, value, at) =>
          sum + (value - (x_hat[at] ?? 0) + (part?.activation ?? 0) * (row[at] ?? 0)) ** 2,
        0,
      );
    };
    expect(explained).toBeCloseTo(1 - error(-1), 5);
    for (const { latent, share, cosine } of parts) {
      expect(share).toBeCloseTo(error(latent) - error(-1), 5);
      const row = [...meta.decoderRows([latent])];
      const dot = row.reduce((sum, value, at) => sum + value * (d[at] ?? 0), 0);
      expect(cosine).toBeCloseTo(dot / Math.hypot(...row), 5);
    }
    const all = await Decomposition.of(meta, parent, atOnce);
    expect(all.summary.varianceExplained).toBeCloseTo(0.424, 3);
    expect(all.summary.l0).toBeCloseTo(4, 1);
    expect(all.summary.shuffledEntries).toBeLessThan(0.1);
    expect(all.summary.shuffledColumns).toBeLessThan(0.1);
    expect(all.summary.explainedHistogram.reduce((sum, n) => sum + n, 0)).toBe(6144);
    for (const part of parts)
      expect(all.members(part.latent, 9999).members.map(({ latent }) => latent)).toContain(5083);
    const narrow = { id: "resid2-1024", sae: await open(demoSae("resid2-1024")) };
    const { best, bestLatent, mean, shuffledMean } = await compareMeta(meta, narrow, {
      device,
      pace: atOnce,
    });
    // One entry by hand.
    const [a, b] = [meta.decoderRows([7]), narrow.sae.decoderRows([bestLatent[7] ?? 0])];
    const dot = a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);
    expect(best[7]).toBeCloseTo(dot / (Math.hypot(...a) * Math.hypot(...b)), 5);
    expect(mean).toBeGreaterThan(shuffledMean + 0.1);
    for (const sae of [meta, parent, narrow.sae]) await sae.release();
  });
});

describeWith(shared("models/saes/hover_golden.safetensors"), "SmolLM2's meta-SAE", () => {
  test("L0, FVU and live meta-latents over all 9216 rows, and the first reconstructions", async () => {
    const golden = readTensors(shared("models/saes/hover_golden.safetensors"));
    const meta = await open(shared("models/saes/meta-w288-k4-of-w9216"));
    const parent = await open(shared("models/saes/smollm2-l9-w9216-k32-f16"));
    const { summary } = await Decomposition.of(meta, parent, atOnce);
    // The golden read the float32 parent, this is its copy in float16.
    expect(summary.l0).toBeCloseTo(3.89334, 2);
    expect(1 - summary.varianceExplained).toBeCloseTo(0.80339, 3);
    expect(summary.d_sae - summary.dead).toBe(286);
    const sixteen = Array.from({ length: 16 }, (_, latent) => latent);
    const { x_hat } = await breakDown(meta, directionsOf(parent, sixteen));
    expectRows(x_hat, rows(golden, "meta/recon_first16_rows"), 1e-3, "reconstruction");
    await meta.release();
    await parent.release();
  });
});

test("a meta-SAE that is trained on a decoder with planted composition finds its parts", async () => {
  // 240 latents, each a weighted sum of one to three of twenty atoms. (Were there always two of like weight, b_dec could
  // take any direction out of all atoms: nothing would tell them apart.)
  const [nAtoms, d, steps] = [20, 32, 1000];
  const atoms = unitDirections(nAtoms, d, 3);
  const random = seeded(5);
  const sets = Array.from({ length: 240 }, (_, latent) => {
    const chosen = new Set([latent % nAtoms]);
    while (chosen.size < 1 + (latent % 3)) chosen.add(Math.floor(random() * nAtoms));
    return [...chosen];
  });
  const W_dec = sets.map((set) => {
    const weights = set.map(() => 0.5 + random());
    return unit(
      Array.from({ length: d }, (_, at) =>
        set.reduce((sum, atom, i) => sum + weights[i]! * atoms[atom]![at]!, 0),
      ),
    );
  });
  const config = parseTrainConfig(
    { architecture: "batchtopk", d_in: d, d_sae: 24, k: 2, steps, lr: 0.01, seed: 1 },
    "a test",
  );
  const trainer = await openTrainer(config, device);
  for (let step = 0; step < steps; step++) {
    const batch = Array.from({ length: 64 }, () => W_dec[Math.floor(random() * 240)]!);
    await trainer.step(rowsOf(batch));
  }
  const { tensors, cfg } = trainer.finish();
  await trainer.release();
  const metadata = { ...(cfg["metadata"] as object), meta_of: "toy", prepend_bos: false };
  const folder = made({ "cfg.json": { ...cfg, metadata }, "sae_weights.safetensors": tensors });
  const meta = await open(folder);
  const parent = await toySae(device, { W_dec });
  const all = await Decomposition.of(meta, parent, atOnce);
  expect(all.summary.varianceExplained).toBeGreaterThan(0.9);
  expect(all.summary.shuffledColumns).toBeLessThan(all.summary.varianceExplained - 0.3);
  const [recalls, precisions]: [number[], number[]] = [[], []];
  for (const [atom, direction] of atoms.entries()) {
    const cosines = Array.from({ length: 24 }, (_, latent) =>
      unit([...meta.decoderRows([latent])]).reduce((sum, v, at) => sum + v * direction[at]!, 0),
    );
    const best = cosines.indexOf(Math.max(...cosines));
    if (cosines[best]! < 0.95) continue;
    const wanted = sets.flatMap((set, latent) => (set.includes(atom) ? [latent] : []));
    const members = new Set(all.members(best, 999).members.map(({ latent }) => latent));
    const hit = wanted.filter((latent) => members.has(latent)).length;
    recalls.push(hit / wanted.length);
    precisions.push(hit / members.size);
  }
  // One atom may stay split over two of the 24 meta-latents.
  expect(recalls.length).toBeGreaterThanOrEqual(nAtoms - 1);
  expect(mean(recalls)).toBeGreaterThan(0.95);
  expect(mean(precisions)).toBeGreaterThan(0.95);
  await meta.release();
  await parent.release();
});

test("a meta-SAE of a meta-SAE stacks", async () => {
  const meta = await toySae(device, { W_dec: unitDirections(6, 8, 1) });
  const upper = await toySae(device, { W_dec: unitDirections(3, 8, 2), threshold: [-1, -1, -1] });
  const all = await Decomposition.of(upper, meta, atOnce);
  expect(all.summary).toMatchObject({ d_sae: 3, parentLatents: 6 });
  await meta.release();
  await upper.release();
});

test("a row without direction explains nothing", async () => {
  const meta = await toySae(device, { W_dec: unitDirections(3, 4, 2) });
  const broken = await breakDown(meta, tensor("float32", [1, 4], new Float32Array(4)));
  expect(breakdownOf(broken, 0, 9, 4)).toEqual({ latent: 9, explained: 0, parts: [], active: 0 });
  await meta.release();
});

test("labels that are made of members' labels", () => {
  const labels: Record<number, string> = {
    1: "cities",
    3: "rivers",
    4: "cities",
    5: "x".repeat(60),
  };
  const label = (...latents: number[]) => derivedLabel(latents.map(memberOf), (it) => labels[it]);
  expect(label(0, 1, 2, 4, 3)).toBe("cities / rivers");
  expect(label(5)).toBe(`${"x".repeat(39)}…`);
  expect(label(0, 2)).toBeUndefined();
});

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function memberOf(latent: number): { latent: number; activation: number; cosine: number } {
  return { latent, activation: 1, cosine: 1 };
}
