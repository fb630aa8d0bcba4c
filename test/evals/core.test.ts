// SAEBench's core metrics against its own outputs on fixed arrays.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { readSafetensors } from "../../server/encoding/safetensors.ts";
import type { CoreMetrics } from "../../server/evals/core/core-metrics.ts";
import { compareDirections } from "../../server/evals/core/directions.ts";
import { summarizeLatents } from "../../server/evals/core/misc-metrics.ts";
import { NextTokenComparison } from "../../server/evals/core/next-token.ts";
import { PreservationSums } from "../../server/evals/core/preservation.ts";
import { ReconstructionSums } from "../../server/evals/core/reconstruction.ts";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import type { SaeDescription } from "../../server/sae/load.ts";
import { computed, type Parameter } from "../../server/sae/parameter.ts";
import type { SparseActs } from "../../server/sae/sparse-acts.ts";
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";
import { repoRoot } from "../parts.ts";

const folder = join(repoRoot, "test/golden/metrics");
const json = (name: string) => JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8"));
const tensors = (name: string): Map<string, Tensor> =>
  readSafetensors(readFileSync(join(folder, `${name}.safetensors`)));

let device: Device;
beforeAll(async () => {
  ({ device } = await openDevice({ device: "cpu", threads: 1, memoryBudget: 2 ** 30 }));
});

/** float32 sums of theirs against float64 sums of ours. */
function expectClose(found: number, wanted: number, what: string): void {
  expect(Math.abs(found - wanted), `${what}: ${found}, not ${wanted}`).toBeLessThanOrEqual(
    2e-6 * Math.max(1, Math.abs(wanted)),
  );
}

function floats(all: ReadonlyMap<string, Tensor>, name: string): Float32Array<ArrayBuffer> {
  return all.get(name)!.data as Float32Array<ArrayBuffer>;
}

function sparse(dense: Float32Array, d_sae: number): SparseActs {
  const offsets = [0];
  const latents: number[] = [];
  const acts: number[] = [];
  for (let at = 0; at < dense.length; at += d_sae) {
    for (let i = 0; i < d_sae; i++) {
      if (dense[at + i] === 0) continue;
      latents.push(i);
      acts.push(dense[at + i]!);
    }
    offsets.push(latents.length);
  }
  return {
    offsets: Int32Array.from(offsets),
    latents: Int32Array.from(latents),
    acts: Float32Array.from(acts),
  };
}

/** The golden's figures from its activations, three batches of four prompts of twelve tokens. */
function measured(ignore: readonly number[]) {
  const golden = tensors("core_sparsity_variance");
  const [d, d_sae, nBatches, prompts, length] = [16, 64, 3, 4, 12];
  const rows = prompts * length;
  const part = (name: string, width: number, batch: number): Float32Array =>
    floats(golden, name).subarray(batch * rows * width, (batch + 1) * rows * width);
  const tokens = golden.get("tokens")!.data as Int32Array;
  const sums = new ReconstructionSums(d, d_sae);
  for (let batch = 0; batch < nBatches; batch++) {
    sums.add({
      x: part("acts", d, batch),
      x_hat: part("recon", d, batch),
      acts: sparse(part("feature_acts", d_sae, batch), d_sae),
      starts: [0, 12, 24, 36],
      kept: Uint8Array.from(tokens.subarray(batch * rows, (batch + 1) * rows), (id) =>
        ignore.includes(id) ? 0 : 1,
      ),
    });
  }
  return sums.finish();
}

test.each([
  ["no_ignore", []],
  ["ignore_7_and_13", [7, 13]],
])("reconstruction, sparsity and densities: %s", (name, ignore) => {
  const { metrics, feature_metrics } = json("core_sparsity_variance").results[name];
  const found = measured(ignore);
  const all: Record<string, number> = {
    ...found.reconstruction_quality,
    ...found.shrinkage,
    ...found.sparsity,
  };
  expect(Object.keys(all).toSorted()).toEqual(Object.keys(metrics).toSorted());
  for (const key of Object.keys(metrics)) expectClose(all[key]!, metrics[key], key);
  feature_metrics.feature_density.forEach((it: number, i: number) =>
    expectClose(found.activity.density[i]!, it, `density ${i}`),
  );
  feature_metrics.consistent_activation_heuristic.forEach((it: number, i: number) =>
    expectClose(found.activity.perPrompt[i]!, it, `activity per prompt ${i}`),
  );
});

test("the right explained variance is of all tokens, however they are batched", () => {
  const golden = tensors("core_sparsity_variance");
  const x = floats(golden, "acts");
  const x_hat = floats(golden, "recon");
  const n = x.length / 16;
  const mean = new Float64Array(16);
  x.forEach((it, at) => (mean[at % 16]! += it / n));
  let error = 0;
  let variance = 0;
  x.forEach((it, at) => {
    error += (it - x_hat[at]!) ** 2;
    variance += (it - mean[at % 16]!) ** 2;
  });
  const { own } = measured([]);
  expectClose(own.fvu, error / variance, "fvu");
  expectClose(own.explainedVariance, 1 - error / variance, "explained variance");
  expectClose(own.squaredError, error / n, "squared error");
});

test("directions of latents, and the summary of densities and directions", async () => {
  const golden = tensors("core_sparsity_variance");
  const { weight_based, misc } = json("core_sparsity_variance");
  const directions = await compareDirections(described(golden), device, {
    signal: new AbortController().signal,
    onProgress: () => {},
  });
  const found: Record<string, Float32Array> = {
    encoder_bias: directions.encoderBias,
    encoder_norm: directions.encoderNorm,
    encoder_decoder_cosine_sim: directions.encoderDecoderCosine,
    max_encoder_cosine_sim: directions.maxEncoderCosine,
    max_decoder_cosine_sim: directions.maxDecoderCosine,
  };
  for (const [key, values] of Object.entries(weight_based as Record<string, number[]>))
    values.forEach((it, i) => expectClose(found[key]![i]!, it, `${key} ${i}`));
  const summary = summarizeLatents(measured([]).activity.density, directions);
  expect(Object.keys(summary).toSorted()).toEqual(Object.keys(misc).toSorted());
  for (const [key, it] of Object.entries(summary)) expectClose(it, misc[key], key);
});

/** Only what directions are read off. */
function described(golden: ReadonlyMap<string, Tensor>): SaeDescription {
  const file = { description: "golden" } as never;
  const parameters = new Map<string, Parameter>(
    ["W_enc", "W_dec", "b_enc"].map((key) => {
      const { dims } = golden.get(key)!;
      return [key, computed({ in: file, key, values: floats(golden, key) }, dims)];
    }),
  );
  const config = { d_in: 16, d_out: 16, d_sae: 64 };
  return { path: "golden", parameters, config } as unknown as SaeDescription;
}

test.each([
  ["one slice of the vocabulary", 2 ** 20],
  ["slices of at most 13 tokens", 13 * 16 * 4],
])("losses, divergence and their scores: %s", async (_, sliceBytes) => {
  const wanted = json("core_ce_kl");
  expect(await compared([], sliceBytes)).toEqual(closeTo(wanted.no_ignore));
  expect(await compared([7, 13], sliceBytes)).toEqual(
    closeTo(wanted.ignore_7_13_excluded_from_reconstruction),
  );
});

function closeTo(wanted: Record<string, number>): unknown {
  // Losses are means of float32 logits of up to 60.
  const near = Object.entries(wanted).map(([key, it]) => [key, expect.closeTo(it, 4)]);
  return Object.fromEntries(near);
}

/** The golden's model: logits = activation · U. */
async function compared(ignore: readonly number[], sliceBytes: number) {
  const golden = tensors("core_ce_kl");
  const [d, d_vocab, length] = [16, 50, 12];
  const U = floats(golden, "unembed");
  const W_U = Float32Array.from(
    { length: U.length },
    (_, at) => U[(at % d) * d_vocab + Math.floor(at / d)]!,
  );
  const vocabulary = {
    d_model: d,
    d_vocab,
    logitSoftcap: undefined,
    rows: (from: number, to: number) =>
      tensor("float32", [to - from, d], W_U.slice(from * d, to * d)),
  };
  const x = floats(golden, "acts");
  const comparison = new NextTokenComparison(vocabulary, device, sliceBytes);
  const sums = new PreservationSums();
  const tokens = golden.get("tokens")!.data as Int32Array;
  const x_hat = reconstructed(golden, x);
  for (let from = 0; from < tokens.length; from += length) {
    const ids = tokens.subarray(from, from + length);
    const kept = Uint8Array.from(ids, (id) => (ignore.includes(id) ? 0 : 1));
    const clean = x.subarray(from * d, (from + length) * d);
    const sae = Float32Array.from(clean, (it, at) =>
      kept[Math.floor(at / d)] ? x_hat[from * d + at]! : it,
    );
    const targets = new Int32Array(length).fill(-1);
    targets.set(ids.subarray(1));
    const runs = { clean, sae, ablated: new Float32Array(clean.length) };
    sums.add(await comparison.compare(runs, targets), kept);
  }
  await comparison.release();
  const { model_behavior_preservation, model_performance_preservation } = sums.finish();
  return { ...model_behavior_preservation, ...model_performance_preservation } satisfies Partial<
    NonNullable<CoreMetrics["model_behavior_preservation"]> &
      NonNullable<CoreMetrics["model_performance_preservation"]>
  >;
}

/** JumpReLU with b_dec on the input, in plain loops. */
function reconstructed(golden: ReadonlyMap<string, Tensor>, x: Float32Array): Float32Array {
  const [W_enc, W_dec, b_enc, b_dec, threshold] = [
    "W_enc",
    "W_dec",
    "b_enc",
    "b_dec",
    "threshold",
  ].map((name) => floats(golden, name));
  const [d, d_sae] = [16, 64];
  const x_hat = new Float32Array(x.length);
  for (let at = 0; at < x.length; at += d) {
    for (let i = 0; i < d; i++) x_hat[at + i] = b_dec![i]!;
    for (let latent = 0; latent < d_sae; latent++) {
      let pre = b_enc![latent]!;
      for (let i = 0; i < d; i++) pre += (x[at + i]! - b_dec![i]!) * W_enc![i * d_sae + latent]!;
      if (pre <= Math.max(0, threshold![latent]!)) continue;
      for (let i = 0; i < d; i++) x_hat[at + i]! += pre * W_dec![latent * d + i]!;
    }
  }
  return x_hat;
}
