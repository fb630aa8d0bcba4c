// Losses behind an SAE through tiny language models, and attributions of a task: losses and gradients as torch has them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LmSource } from "../../server/engine/runs/lm-source.ts";
import { SequenceBatches } from "../../server/engine/runs/sequence-batches.ts";
import { readSafetensors } from "../../server/encoding/safetensors.ts";
import { LmGradients } from "../../server/lm/gradients.ts";
import { parseHookPoint } from "../../server/lm/hook-points.ts";
import { loadLm } from "../../server/lm/load.ts";
import { TokenWindowsBuilder } from "../../server/store/token-windows.ts";
import type { Tensor } from "../../server/tensor/tensor.ts";
import { parseTrainConfig } from "../../server/training/config.ts";
import { DeadLatents } from "../../server/training/dead-latents.ts";
import { Parameters } from "../../server/training/parameters.ts";
import { kindOf } from "../../server/training/trainers/index.ts";
import { testDevice } from "../lm/closeness.ts";
import { repoRoot } from "../parts.ts";

const device = testDevice();
const read = (path: string) => readSafetensors(readFileSync(join(repoRoot, "test/golden", path)));

const policy = { skipPositions: 1, skipSpecial: false } as const;
const plainTopk = { rescaleActsByDecoderNorm: false, aux: null } as const;
const cases = {
  "gpt2-resid-standard": {
    family: "gpt2",
    hook: "blocks.0.hook_resid_post",
    train: {
      architecture: "standard",
      sparsity: { kind: "l1", coefficient: 0.005, byDecoderNorm: false },
      endToEnd: { kl: 1, downstream: 1e-4, mse: 2e-4 },
    },
  },
  "llama-mlp-topk": {
    family: "llama",
    hook: "blocks.0.hook_mlp_out",
    train: { architecture: "topk", k: 6, ...plainTopk, endToEnd: { kl: 2, downstream: 5e-4 } },
  },
  "gemma2-last-topk": {
    family: "gemma2",
    hook: "blocks.3.hook_resid_post",
    train: { architecture: "topk", k: 5, ...plainTopk, endToEnd: { kl: 1, mse: 0.005 } },
  },
} as const;

describe.each(Object.entries(cases))("%s", (name, { family, hook, train }) => {
  test("loss, parts and gradients", async () => {
    const golden = read(`end-to-end/${name}.safetensors`);
    const lm = await loadLm(join(repoRoot, "test/golden/tiny-lms", family), device);
    const ids = read(`tiny-lms/${family}/golden.safetensors`).get("ids")!.data as BigInt64Array;
    const builder = new TokenWindowsBuilder(lm.config.d_vocab);
    for (const row of [0, 1])
      builder.push(Array.from(ids.subarray(24 * row, 24 * row + 24), Number));
    const windows = builder.finish({});
    const source = new LmSource(lm, windows, [hook], policy);
    // Both windows, in whatever order: means do not depend on it.
    const options = { seed: 0, rows: 0, batch: 46, epochs: 0, batches: 1 };
    const batches = new SequenceBatches(lm, windows, source, options);
    const x = (await batches.batch(0)).get(hook)!;
    expect(x.dims[0]).toBe(46);

    const [d_in, d_sae] = golden.get("W_enc")!.dims as [number, number];
    const config = parseTrainConfig({ ...train, d_in, d_sae, steps: 1, lr: 1 }, name);
    const kind = kindOf(config);
    const parameters = new Parameters(kind.shapes(config));
    const named = [...golden].filter(([key]) => parameters.has(key));
    parameters.setFrom(new Map(named as [string, Tensor<"float32">][]));
    const form = await kind.open({ config, parameters, device });
    parameters.makeRoom(form.workBytes(46));
    form.place(46);
    const batch = { rows: 46, x, target: x, scale: 1, downstream: batches.downstream(hook) };
    const found = await form.forward(batch, { step: 0, lr: 0, dead: new DeadLatents(config) });

    const scalar = (key: string) => Number(golden.get(key)?.data[0] ?? 0);
    for (const [part, value] of Object.entries(found.parts))
      expect(value / scalar("loss"), part).toBeCloseTo(scalar(part) / scalar("loss"), 5);
    expect(found.loss / scalar("loss")).toBeCloseTo(1, 5);
    expectGradients(parameters, golden, "grad/");

    // Attributions: gradients of the logits' difference through the rest of the model, then those of the penalty.
    const gradients = new LmGradients(lm);
    const place = parseHookPoint(hook) as { kind: "resid_post"; layer: number };
    const g = new Float32Array(x.data.length);
    const rows = new Float32Array(x.data.length);
    for (const window of [0, 1]) {
      const terms = [
        { position: 23, id: 5, weight: 1 },
        { position: 23, id: 7, weight: -1 },
      ];
      const all = await gradients.ofLogits(windows.window(window), terms, [place]);
      g.set(all.gradients.get(hook)!.data.subarray(d_in), window * 23 * d_in);
      rows.set((await source.read(window)).get(hook)!, window * 23 * d_in);
    }
    expectClose(g, golden.get("task/gradient")!.data as Float32Array, "the task's gradient");
    for (const { grad } of parameters.all) grad.fill(0);
    const task = { ...x, data: rows };
    const halved = { ...x, data: g.map((it) => it / 2) };
    const loss = await form.attribute({ rows: 46, x: task, target: task, scale: 1 }, halved);
    expect(loss / scalar("task/loss")).toBeCloseTo(1, 4);
    expectGradients(parameters, golden, "task/grad/");
    await form.release();
    await gradients.release();
    await batches.close();
  });
});

function expectGradients(
  parameters: Parameters,
  golden: ReadonlyMap<string, Tensor>,
  prefix: string,
): void {
  for (const { name, dims, grad } of parameters.all) {
    const wanted = (golden.get(prefix + name)?.data ??
      new Float32Array(grad.length)) as Float32Array;
    const [n = 0, m = 0] = dims;
    // W_enc is kept the other way round.
    const own =
      name === "W_enc" ? grad.map((_, at) => grad[(at % n) * m + Math.floor(at / n)]!) : grad;
    expectClose(own, wanted, `${prefix}${name}`);
  }
}

/** Every entry to within 1e-4 of the tensor's root mean square. */
function expectClose(found: Float32Array, wanted: Float32Array, what: string): void {
  const rms = Math.sqrt(wanted.reduce((sum, it) => sum + it * it, 0) / wanted.length);
  const worst = found.reduce((most, it, at) => Math.max(most, Math.abs(it - wanted[at]!)), 0);
  expect(worst, `${what}: largest difference, of ${rms}`).toBeLessThanOrEqual(1e-4 * rms);
}
