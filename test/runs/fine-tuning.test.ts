// Fine-tuning: a training that starts from a finished SAE starts as that SAE, or says why it cannot.
import { join } from "node:path";
import { expect, test } from "vitest";
import type { CompleteSae } from "../../server/engine/runs/complete-run.ts";
import { RunningSae } from "../../server/engine/runs/running-sae.ts";
import { loadSae } from "../../server/sae/load.ts";
import { openSae } from "../../server/sae/sae.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { parseTrainConfig } from "../../server/training/config.ts";
import { testDevice } from "../lm/closeness.ts";
import { repoRoot } from "../parts.ts";
import { seeded } from "../random.ts";

const device = testDevice();
const parent = join(repoRoot, "demo/saes/resid2-1024");

function complete(options: Readonly<Record<string, unknown>>): CompleteSae {
  const sizes = { d_in: 192, d_sae: 1024, steps: 4, lr: 1e-9 };
  const train = parseTrainConfig({ ...sizes, ...options }, "a test");
  const init = { kind: "sae", sae: parent } as const;
  return {
    name: "tuned",
    hook: "blocks.2.hook_resid_post",
    hookOut: null,
    init,
    task: null,
    train,
  };
}

const jumprelu = { architecture: "jumprelu", sparsity: { kind: "step", coefficient: 0 } } as const;

test("a JumpReLU SAE goes on as itself", async () => {
  const { trainer } = await RunningSae.open(complete(jumprelu), device);
  const sae = await openSae(await loadSae(parent), device);
  const random = seeded(2);
  const data = Float32Array.from({ length: 64 * 192 }, () => 12 * (2 * random() - 1));
  const x = tensor("float32", [64, 192], data);
  const acts = await sae.encode(x);
  const x_hat = await sae.decode(acts, x);
  let error = 0;
  data.forEach((it, at) => (error += (it - x_hat.data[at]!) ** 2 / 64));
  const found = await trainer.step(x);
  expect(found.l0).toBeCloseTo(acts.latents.length / 64, 6);
  expect(found.parts["mse_loss"]! / error).toBeCloseTo(1, 5);
  const { tensors } = trainer.finish();
  const description = await loadSae(parent);
  for (const [name, parameter] of description.parameters) {
    const wanted = parameter.readFloat32();
    const off = tensors
      .get(name)!
      .data.reduce((most, it, at) => Math.max(most, Math.abs(it - wanted[at]!)), 0);
    // One step of so small a rate.
    expect(off, name).toBeLessThan(1e-6);
  }
  description.close();
  await sae.release();
  await trainer.release();
});

test.each([
  { architecture: "batchtopk", k: 16 },
  { architecture: "topk", k: 16 },
  { architecture: "standard", sparsity: { kind: "l1", coefficient: 1 } },
])("its weights begin one of another architecture: %j", async (options) => {
  const { trainer } = await RunningSae.open(complete(options), device);
  const description = await loadSae(parent);
  const wanted = description.parameters.get("W_dec")!.readFloat32();
  const { data } = trainer.parameters().get("W_dec")!;
  // A comparison of so many numbers by vitest takes seconds.
  expect(data.every((it, at) => it === wanted[at])).toBe(true);
  description.close();
  await trainer.release();
});

test.each([
  [{ ...jumprelu, d_sae: 512 }, /the initial W_dec has shape|the initial W_enc has shape/],
  [
    { architecture: "gated", sparsity: { kind: "l1", coefficient: 1 } },
    /the initial weights have no b_gate \[1024\]; they have .*: they belong to another architecture/,
  ],
  [
    { ...jumprelu, normalizeActivations: { kind: "scale" } },
    /reads activations with the normalisation "none", but "train.normalizeActivations.kind" is "scale"; set it to "none"/,
  ],
  [{ ...jumprelu, init: { b_dec: "mean" } }, /"train.init.b_dec" is "mean", which would replace/],
])("refused: %j", async (options, text) => {
  await expect(RunningSae.open(complete(options), device)).rejects.toThrow(text);
});
