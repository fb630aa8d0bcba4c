/** Finished SAEs: against what SAELens saves, and through our own reader against the trained parameters. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeSafetensors } from "../../server/encoding/safetensors.ts";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { loadSae } from "../../server/sae/load.ts";
import { openSae } from "../../server/sae/sae.ts";
import { type Tensor } from "../../server/tensor/tensor.ts";
import type { TrainConfig } from "../../server/training/config.ts";
import { type FinishedSae, openTrainer, type Trainer } from "../../server/training/trainer.ts";
import { goldenBatches, goldenNames, goldenRun } from "./golden-runs.ts";
import { plainForward } from "./plain-forward.ts";
import { smallConfigs, smallBatches } from "./small-configs.ts";
import { testDeviceName } from "../test-device.ts";

let device: Device;
const folder = mkdtempSync(join(tmpdir(), "latent-workbench-finish-"));
beforeAll(async () => {
  ({ device } = await openDevice({ device: testDeviceName, threads: 2, memoryBudget: 2 ** 30 }));
});
afterAll(async () => {
  await device.close();
  rmSync(folder, { recursive: true });
});

describe.each(goldenNames)("%s", (name) => {
  test("the finished SAE", async () => {
    const run = goldenRun(name);
    const trainer = await openTrainer(run.config, device, run.init);
    const batches = goldenBatches();
    for (const batch of batches) await trainer.step(batch);
    const finished = trainer.finish();
    const wanted = run.tensors("inference");
    for (const [key, { dims, data }] of wanted) {
      const found = finished.tensors.get(key)!;
      expect(found.dims, key).toEqual(dims);
      expectTensor(found, data as Float32Array, key);
    }
    if (wanted.size > 0)
      expect([...finished.tensors.keys()].sort()).toEqual([...wanted.keys()].sort());
    await expectRoundTrip(trainer, finished, batches[0]!);
    await trainer.release();
  });
});

describe("options that no golden has", () => {
  test.each(Object.keys(smallConfigs))("%s", async (name) => {
    const { config, target } = smallConfigs[name]!;
    const trainer = await openTrainer(config, device);
    const batches = smallBatches(config, target);
    for (const batch of batches.slice(0, trainer.observations)) await trainer.observe(batch);
    for (const batch of batches.slice(0, 4)) await trainer.step(batch);
    await expectRoundTrip(trainer, trainer.finish(), batches[0]!.x);
    await trainer.release();
  });
});

/** Written, loaded and run, it reconstructs what the trained parameters do. */
async function expectRoundTrip(
  trainer: Trainer,
  { tensors, cfg }: FinishedSae,
  x: Tensor<"float32">,
): Promise<void> {
  writeFileSync(join(folder, "sae_weights.safetensors"), writeSafetensors(tensors));
  writeFileSync(join(folder, "cfg.json"), JSON.stringify(cfg));
  const sae = await openSae(await loadSae(folder, { facts: factsOf(trainer.config) }), device);
  const found = await sae.decode(await sae.encode(x), x);
  const threshold = finalThreshold(trainer);
  const wanted = plainForward(trainer, x, threshold);
  const width = found.dims[1]!;
  let flips = 0;
  wanted.forEach((row, at) => {
    const rms = Math.sqrt(row.reduce((sum, it) => sum + it ** 2, 0) / width);
    const worst = row.reduce(
      (most, it, i) => Math.max(most, Math.abs(it - found.data[at * width + i]!)),
      0,
    );
    // An activation on the edge of a threshold may fall on its other side.
    if (worst > 1e-4 * rms) flips++;
  });
  expect(flips).toBeLessThanOrEqual(1);
  await sae.release();
}

function factsOf({ d_out }: TrainConfig): Record<string, string> {
  return {
    hook: "blocks.0.hook_resid_pre",
    ...(d_out === null ? {} : { hookOut: "blocks.0.hook_mlp_out" }),
  };
}

/** The average that a state holds: BatchTopK's and Matryoshka's threshold. */
function finalThreshold(trainer: Trainer): number | undefined {
  const state = trainer.state().get("threshold/average")?.data as Float64Array | undefined;
  if (state === undefined) return undefined;
  return Number.isNaN(state[0]) ? state[1] : state[0];
}

function expectTensor({ data }: Tensor<"float32">, wanted: Float32Array, key: string): void {
  let squares = 0;
  for (const it of wanted) squares += it ** 2;
  const rms = Math.sqrt(squares / wanted.length);
  // As for the trained weights (goldens.test.ts), all but a thousandth.
  const off = data.filter((it, at) => Math.abs(it - wanted[at]!) > 2e-5 * rms + 1e-7);
  expect(off.length, key).toBeLessThanOrEqual(wanted.length / 1000);
}
