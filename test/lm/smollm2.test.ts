/**
 * A real model against transformers: SmolLM2-135M from its GGUF file and from a Hugging Face folder in f16.
 *
 * In float64 every activation of every token is within 1e-4 of its RMS. In float32 a handful of 4,000 rows is not, and
 * cannot be but by luck: where the MLP of layer 9 takes a residual of 555 back to 51, or a row's own RMS is small, one rounding
 * of 6e-8 upstream is 1e-4 of the RMS. torch's own float32 figures are up to 1.0e-4 from the exact ones there
 * (chat, blocks.9.hook_mlp_out, position 26), ours up to 1.7e-4 (code, the same, position 96); the medians of both are 5e-6.
 * So float32 is held to: 99.5 % of all rows within 1e-4, none beyond 3e-4.
 */
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openSafetensors, type Weights } from "../../server/files/weights.ts";
import { generate } from "../../server/lm/generate.ts";
import type { HookPoint } from "../../server/lm/hook-points.ts";
import type { LanguageModel } from "../../server/lm/language-model.ts";
import { loadLm } from "../../server/lm/load.ts";
import { Stream } from "../../server/lm/stream.ts";
import { describeWith, shared } from "../parts.ts";
import { seeded } from "../random.ts";
import { cpuDevice, expectRows, rowErrors, testDevice } from "./closeness.ts";
import { smollm2F16Folder, smollm2Gguf } from "./smollm2-f16.ts";

interface Golden {
  readonly prompts: readonly {
    readonly name: string;
    readonly text: string;
    readonly ids: number[];
  }[];
  readonly greedy: Readonly<Record<string, { readonly new_ids: number[]; readonly text: string }>>;
}

// A machine that is busy with other things needs minutes for what takes seconds.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

const goldenFolder = shared("goldens/smollm2");

for (const weights of ["gguf", "f16"] as const) {
  describeWith(smollm2Gguf, `SmolLM2 from ${weights}`, () => {
    const device = testDevice();
    const cpu = cpuDevice();
    const golden = JSON.parse(
      readFileSync(join(goldenFolder, `lm_golden_${weights}.json`), "utf8"),
    ) as Golden;
    const prompts = golden.prompts.map(({ name }) => name);
    const idsOf = (name: string) =>
      Int32Array.from(golden.prompts.find((prompt) => prompt.name === name)!.ids);
    let tensors: Weights;
    let lm: LanguageModel;
    let exact: LanguageModel;

    beforeAll(async () => {
      tensors = openSafetensors(join(goldenFolder, `lm_golden_${weights}.safetensors`));
      const path = weights === "gguf" ? smollm2Gguf : smollm2F16Folder();
      lm = await loadLm(path, device);
      exact = await loadLm(path, cpu, { precision: "float64" });
    });

    afterAll(async () => {
      await lm.release();
      await exact.release();
      tensors.close();
      await device.close();
      await cpu.close();
    });

    test("ids", () => {
      for (const { ids, text } of golden.prompts) {
        expect([...lm.tokenizer.encode(text).ids]).toEqual(ids);
      }
    });

    test.each(prompts)("activations of %s in float64", async (name) => {
      const stream = new Stream(exact);
      stream.setIds(idsOf(name));
      const found = await readGolden(exact, stream, tensors, name);
      expect(found.length).toBe(weights === "gguf" ? 7 : 2);
      for (const { key, got, want, width } of found) {
        expectRows(`${name}/${key}`, got, want, { width });
      }
      await checkPredictions(stream, tensors, name);
      stream.dispose();
    });

    test("activations of all prompts in float32", async () => {
      const errors: number[] = [];
      for (const name of prompts) {
        const stream = new Stream(lm);
        stream.setIds(idsOf(name));
        for (const { got, want, width } of await readGolden(lm, stream, tensors, name)) {
          errors.push(...rowErrors(got, want, width));
        }
        await checkPredictions(stream, tensors, name);
      }
      checkFloat32(errors);
    });

    test.each(Object.keys(golden.greedy))("greedy continuation of %s", async (name) => {
      const { new_ids, text } = golden.greedy[name]!;
      const found = await generate(lm, { ids: idsOf(name), maxNewTokens: 32 });
      expect([...found]).toEqual(new_ids);
      expect(lm.tokenizer.decode(found)).toBe(text);
    });

    if (weights === "f16")
      test("random edits of a text read as a fresh stream does", async () => {
        const random = seeded(41);
        const hook = lm.hook("blocks.9.hook_resid_post");
        const streams = [new Stream(lm), new Stream(exact)] as const;
        const errors: number[] = [];
        let ids = [...idsOf("code")];
        for (let edit = 0; edit < 20; edit++) {
          const at = Math.floor(random() * ids.length);
          const added = Array.from({ length: 1 + (edit % 3) }, () => Math.floor(random() * 49_152));
          ids = [...ids.slice(0, at), ...added, ...ids.slice(at + (edit % 4))];
          const [inFloat32, inFloat64] = await Promise.all(
            streams.map((stream) => readAfter(stream, ids, hook)),
          );
          if (edit % 5 !== 4) continue;
          const want = await readAfter(new Stream(exact), ids, hook);
          expectRows(`edit ${edit}`, inFloat64!, want, { width: 576, tolerance: 1e-6 });
          const fresh = await readAfter(new Stream(lm), ids, hook);
          errors.push(...rowErrors(inFloat32!, fresh, 576));
        }
        checkFloat32(errors);
      });
  });
}

/** See the head of this file. */
function checkFloat32(errors: number[]): void {
  expect(errors.length).toBeGreaterThan(400);
  expect(Math.max(...errors)).toBeLessThan(3e-4);
  const within = errors.filter((error) => error <= 1e-4).length;
  expect(within / errors.length).toBeGreaterThanOrEqual(0.995);
}

async function readAfter(stream: Stream, ids: number[], hook: HookPoint): Promise<Float32Array> {
  stream.setIds(Int32Array.from(ids));
  const [tensor] = (await stream.read([hook])).values();
  return tensor!.data;
}

describeWith(smollm2Gguf, "SmolLM2 from a lone .gguf file", () => {
  test("config and tokenizer come from the metadata", async () => {
    const folder = mkdtempSync(join(tmpdir(), "latent-workbench-gguf-"));
    const file = join(folder, "model.gguf");
    symlinkSync(smollm2Gguf, file);
    const device = testDevice();
    const alone = await loadLm(file, device);
    const beside = await loadLm(smollm2Gguf, device);
    const { layers, normEps, ...config } = alone.config;
    const { layers: layersBeside, normEps: normEpsBeside, ...configBeside } = beside.config;
    expect(config).toEqual(configBeside);
    expect(normEps).toBeCloseTo(normEpsBeside, 10);
    expect(layers).toEqual(layersBeside);
    expect(alone.eosIds).toEqual(beside.eosIds);
    const text = "The year 1984, naïve 😀";
    expect(alone.tokenizer.encode(text).ids).toEqual(beside.tokenizer.encode(text).ids);
    await alone.release();
    await beside.release();
    await device.close();
    rmSync(folder, { recursive: true });
  });
});

/** TransformerLens' name of a golden's key. */
function nameOf(key: string): string {
  return key === "ln_final.out" ? "ln_final.hook_normalized" : key;
}

/** Every activation of a prompt that the golden has, beside ours. */
async function readGolden(
  lm: LanguageModel,
  stream: Stream,
  tensors: Weights,
  prompt: string,
): Promise<{ key: string; got: Float32Array; want: Float32Array; width: number }[]> {
  const keys = tensors
    .names()
    .filter((key) => key.startsWith(`${prompt}/`) && /hook_|ln_final/.test(key))
    .map((key) => key.slice(prompt.length + 1));
  const found = await stream.read(keys.map((key) => lm.hook(nameOf(key))));
  return keys.map((key) => {
    const want = tensors.readFloat32(`${prompt}/${key}`);
    const got = found.get(nameOf(key))!.data;
    return { key, got, want, width: want.length / stream.ids.length };
  });
}

/** Losses, most likely tokens and last logits of a prompt. */
async function checkPredictions(stream: Stream, tensors: Weights, prompt: string): Promise<void> {
  const want = (key: string) => tensors.readFloat32(`${prompt}/${key}`);
  const n = stream.ids.length;
  const { nextTokenLoss, topIds, topProbabilities } = await stream.predictions(20);
  const logits = await stream.logits();
  const topLogits = Float32Array.from(topIds, (id, i) => {
    return logits.data[Math.floor(i / 20) * logits.dims[1]! + id]!;
  });
  expectRows(`${prompt} top logits`, topLogits, want("top20_logits"), { width: 20 });
  const logprobs = topProbabilities.map((p) => Math.log(p));
  expectRows(`${prompt} top log-probabilities`, logprobs, want("top20_logprobs"), { width: 20 });
  checkTopIds(topIds, want("top20_ids"), want("top20_logits"));
  expect(nextTokenLoss[n - 1]).toBeNaN();
  const ce = want("ce");
  for (let position = 0; position < n - 1; position++) {
    expect(nextTokenLoss[position]).toBeCloseTo(ce[position]!, 3);
  }
  if (tensors.dims(`${prompt}/last_logits_full`) !== undefined) {
    const last = await stream.logits([n - 1]);
    expectRows(`${prompt} last logits`, last.data, want("last_logits_full"), {
      width: last.dims[1]!,
    });
  }
}

/** Equal but where two logits are so close that rounding may swap them. */
function checkTopIds(got: Int32Array, want: Float32Array, logits: Float32Array): void {
  for (const [i, id] of want.entries()) {
    if (got[i] === id) continue;
    const near = Math.min(
      Math.abs(logits[i]! - (i % 20 > 0 ? logits[i - 1]! : Infinity)),
      Math.abs(logits[i]! - (i % 20 < 19 ? logits[i + 1]! : logits[i]!)),
    );
    expect(near, `entry ${i}: ${got[i]} where ${id} is expected`).toBeLessThan(1e-3);
  }
}
