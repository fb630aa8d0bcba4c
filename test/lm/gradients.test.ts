import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { readSafetensors } from "../../server/encoding/safetensors.ts";
import { LmGradients, residGradients } from "../../server/lm/gradients.ts";
import { Trace } from "../../server/lm/gradient-trace.ts";
import type { LanguageModel } from "../../server/lm/language-model.ts";
import { loadLm } from "../../server/lm/load.ts";
import { toFloat32 } from "../../server/tensor/half.ts";
import type { Tensor } from "../../server/tensor/tensor.ts";
import { describeWith, repoRoot } from "../parts.ts";
import { expectRows, testDevice } from "./closeness.ts";
import { smollm2Gguf } from "./smollm2-f16.ts";

const folder = (family: string) => join(repoRoot, "test/golden/tiny-lms", family);
const goldenOf = (path: string) =>
  readSafetensors(readFileSync(join(repoRoot, "test/golden", path)));
const device = testDevice();

const open: { release(): Promise<void> }[] = [];
afterEach(async () => {
  for (const object of open.splice(0)) await object.release();
});

/** A tiny model; `rowsPerRun` cuts its sequences into pieces of so many rows. */
async function openGradients(family: string, rowsPerRun?: number): Promise<LmGradients> {
  const lm = await loadLm(folder(family), device);
  if (rowsPerRun !== undefined) Object.assign(lm, { rowsPerRun: () => rowsPerRun });
  const gradients = new LmGradients(lm);
  open.push(gradients, lm);
  return gradients;
}

/**
 * Every token's gradient to within 1e-4 of its own root mean square; a token whose gradient is 0 must have exactly 0.
 * The goldens' own rounding is up to 8e-5 (the same torch model in f64).
 */
function compareTokens(found: ArrayLike<number>, expected: Tensor, what: string): void {
  const width = expected.dims.slice(1).reduce((a, b) => a * b, 1);
  expectRows(what, found, toFloat32(expected), { width });
}

function row(tensor: Tensor, index: number): Tensor<"float32"> {
  const dims = tensor.dims.slice(1);
  const size = dims.reduce((a, b) => a * b, 1);
  const data = (tensor.data as Float32Array<ArrayBuffer>).slice(index * size, (index + 1) * size);
  return { dtype: "float32", dims, data };
}

const ids32 = (tensor: Tensor) => Int32Array.from(tensor.data as BigInt64Array, Number);

/** Families whose goldens have gradients; gpt-neo is among those below. */
const families = "gemma2 gemma3 gpt-neox gpt2 llama llama-rope3 mistral olmo2 qwen2 qwen3".split(
  " ",
);

describe("the last position's logit 5 to resid_pre of every block", () => {
  // In pieces of 7 rows, later rows reach earlier ones through the gradients of keys and values.
  for (const rowsPerRun of [undefined, 7]) {
    test.each(families)(`%s, rows per run: ${rowsPerRun ?? "all"}`, async (family) => {
      const gradients = await openGradients(family, rowsPerRun);
      const golden = goldenOf(`tiny-lms/${family}/golden.safetensors`);
      const [batch, tokens] = golden.get("ids")!.dims as [number, number];
      const layers = [...Array(gradients.lm.config.n_layers).keys()];
      for (let b = 0; b < batch; b++) {
        const ids = ids32(golden.get("ids")!).slice(b * tokens, (b + 1) * tokens);
        const metric = { position: tokens - 1, logits: [{ id: 5, weight: 1 }] };
        const found = await residGradients(gradients, ids, metric, layers);
        for (const [layer, { data }] of found) {
          compareTokens(data, row(golden.get(`grad_resid_pre.${layer}`)!, b), `layer ${layer}`);
        }
      }
    });
  }
});

describe("other numbers and hook points", () => {
  const hookKinds = ["attn_out_raw", "z", "mlp_in", "mlp_post", "mlp_out_raw"] as const;
  const more = ["gpt2", "gpt-neo", "gpt-neox", "llama", "gemma2", "mistral"];

  test.each(more)("%s: a sum of weighted logits at several positions", async (family) => {
    const gradients = await openGradients(family, 10);
    const golden = goldenOf(`lm-gradients/${family}.safetensors`);
    const [positions, ids, weights] = ["position", "id", "weight"].map((part) =>
      Array.from(golden.get(`terms.${part}`)!.data as Float32Array, Number),
    );
    const terms = positions!.map((position, i) => ({
      position,
      id: ids![i]!,
      weight: weights![i]!,
    }));
    const hooks = [
      { kind: "resid_pre", layer: 0 } as const,
      { kind: "resid_pre", layer: 1 } as const,
      ...hookKinds.map((kind) => ({ kind, layer: 1 })),
    ];
    const found = await gradients.ofLogits(ids32(golden.get("ids")!), terms, hooks);
    expect(found.value).toBeCloseTo(Number(golden.get("logits.value")!.data[0]), 4);
    expect(found.gradients.size).toBe(hooks.length);
    for (const [name, { data }] of found.gradients) {
      compareTokens(data, golden.get(`logits/${name}`)!, name);
    }
  });

  test.each(more)("%s: the mean loss of the next token", async (family) => {
    const gradients = await openGradients(family);
    const golden = goldenOf(`lm-gradients/${family}.safetensors`);
    const ids = ids32(golden.get("ids")!);
    const end = gradients.lm.config.n_layers;
    const trace = await Trace.run(gradients.lm, { ids });
    const targets = new Int32Array(ids.length).fill(-1);
    targets.set(ids.subarray(1));
    const weights = new Float32Array(ids.length).fill(1 / (ids.length - 1));
    const loss = await gradients.unembedding.nextToken(trace.resid(end), targets, weights);
    expect(loss.value).toBeCloseTo(Number(golden.get("next_token.value")!.data[0]), 4);
    const hooks = [0, 1].map((layer) => ({ kind: "resid_pre", layer }) as const);
    const found = await gradients.backward(trace, new Map([[end, loss.dResid]]), hooks);
    for (const [name, { data }] of found) {
      compareTokens(data, golden.get(`next_token/${name}`)!, name);
    }
  });

  test.each(more)("%s: divergence from the model itself, a residual replaced", async (family) => {
    const gradients = await openGradients(family);
    const { lm } = gradients;
    const golden = goldenOf(`lm-gradients/${family}.safetensors`);
    const ids = ids32(golden.get("ids")!);
    const end = lm.config.n_layers;
    const original = await Trace.run(lm, { ids });
    const resid = golden.get("replaced")!.data as Float32Array;
    const trace = await Trace.run(lm, { layer: 1, resid });
    const weights = Float32Array.from(ids, (_, position) => position);
    const loss = await gradients.unembedding.divergence(
      trace.resid(end),
      original.resid(end),
      weights,
    );
    const value = Number(golden.get("divergence.value")!.data[0]);
    expect(Math.abs(loss.value - value)).toBeLessThan(1e-5 * value);
    const hooks = [{ kind: "resid_pre", layer: 1 } as const];
    const found = await gradients.backward(trace, new Map([[end, loss.dResid]]), hooks);
    for (const [name, { data }] of found) {
      compareTokens(data, golden.get(`divergence/${name}`)!, name);
    }
  });
});

describe("backward passes", () => {
  const metric = { position: 9, logits: [{ id: 5, weight: 1 }] };
  const ids = Int32Array.from({ length: 16 }, (_, i) => 3 + ((i * 37) % 90));

  test("a gradient may enter at any layer, and adds to what comes from above", async () => {
    const gradients = await openGradients("llama");
    const trace = await Trace.run(gradients.lm, { ids });
    const hooks = [1, 2].map((layer) => ({ kind: "resid_pre", layer }) as const);
    const [a, b] = [3, 2].map((layer) => trace.resid(layer).map((x) => x / layer));
    const run = (entering: [number, Float32Array][]) =>
      gradients.backward(trace, new Map(entering), hooks);
    const both = await run([[3, a!], [2, b!]]); // prettier-ignore
    const parts = [await run([[3, a!]]), await run([[2, b!]])];
    for (const [name, { data }] of both) {
      const [x, y] = parts.map((part) => part.get(name)!.data);
      data.forEach((value, i) => expect(value).toBeCloseTo(x![i]! + y![i]!, 4));
    }
    expect(parts[1]!.get("blocks.2.hook_resid_pre")!.data).toEqual(b);
  });

  test("nothing is run after the position that is read, and its gradients are 0", async () => {
    const gradients = await openGradients("gpt2");
    const found = await residGradients(gradients, ids, metric, [0]);
    const { dims, data } = found.get(0)!;
    expect(dims).toEqual([16, 32]);
    expect(data.subarray(10 * 32).every((x) => x === 0)).toBe(true);
    const short = await residGradients(gradients, ids.subarray(0, 10), metric, [0]);
    expect(data.subarray(0, 10 * 32)).toEqual(short.get(0)!.data);
  });

  test("where memory is short, backward blocks take turns", async () => {
    const gradients = await openGradients("gpt2");
    const plenty = await residGradients(gradients, ids, metric, [0]);
    const bytes = backwardBytes(gradients.lm);
    await gradients.release();
    expect(backwardBytes(gradients.lm)).toBe(0);
    const { ledger } = device;
    ledger.plan("another model", ledger.budget - ledger.plannedBytes - 0.5 * bytes);
    try {
      const scarce = await residGradients(gradients, ids, metric, [0]);
      expect(scarce).toEqual(plenty);
      expect(backwardBytes(gradients.lm)).toBe(bytes / 3);
      await gradients.release();
    } finally {
      ledger.release("another model");
    }
  });

  test("a cancelled pass ends between blocks", async () => {
    const gradients = await openGradients("gpt2");
    const trace = await Trace.run(gradients.lm, { ids });
    const controller = new AbortController();
    const dResid = trace.resid(3);
    const pass = gradients.backward(
      trace,
      new Map([[3, dResid]]),
      [{ kind: "resid_pre", layer: 0 }],
      controller.signal,
    );
    controller.abort(new Error("enough"));
    await expect(pass).rejects.toThrow("enough");
  });

  test("a hook point that the architecture does not have is refused", async () => {
    const gradients = await openGradients("gpt-neox");
    const hooks = [{ kind: "resid_mid", layer: 0 } as const];
    await expect(
      gradients.ofLogits(ids, [{ position: 3, id: 5, weight: 1 }], hooks),
    ).rejects.toThrow("no blocks.0.hook_resid_mid in gpt-neox");
  });
});

describeWith(smollm2Gguf, "SmolLM2", () => {
  test("a step along the gradient at block 20 changes the logits' difference by its square", async () => {
    const lm = await loadLm(smollm2Gguf, device);
    const gradients = new LmGradients(lm);
    open.push(gradients, lm);
    const ids = lm.tokenizer.encode(
      "The capital of France is Paris, and the capital of Italy is",
    ).ids;
    const end = lm.config.n_layers;
    const position = ids.length - 1;
    const [rome, paris] = [" Rome", " Paris"].map((text) => lm.tokenizer.encode(text).ids[0]!);
    const terms = [
      { position, id: rome!, weight: 1 },
      { position, id: paris!, weight: -1 },
    ];
    const hook = { kind: "resid_pre", layer: 20 } as const;
    const { value, gradients: found } = await gradients.ofLogits(ids, terms, [hook]);
    expect(value).toBeGreaterThan(1);
    const { data: slope } = found.get("blocks.20.hook_resid_pre")!;
    const square = slope.reduce((sum, x) => sum + x * x, 0);
    const resid = (await Trace.run(lm, { ids })).resid(20);
    const valueAt = async (step: number): Promise<number> => {
      const moved = resid.map((x, i) => x + step * slope[i]!);
      const trace = await Trace.run(lm, { layer: 20, resid: moved });
      return (await gradients.unembedding.logits(trace.resid(end), terms)).value;
    };
    const step = 0.02 / Math.sqrt(square);
    const difference = ((await valueAt(step)) - (await valueAt(-step))) / (2 * step);
    expect(Math.abs(difference / square - 1)).toBeLessThan(2e-3);
  });
});

function backwardBytes(lm: LanguageModel): number {
  const { planned } = lm.device.ledger.status();
  return planned.find(({ what }) => what === `${lm.id}: backward blocks`)?.bytes ?? 0;
}
