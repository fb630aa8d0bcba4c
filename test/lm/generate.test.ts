import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generate } from "../../server/lm/generate.ts";
import type { LanguageModel } from "../../server/lm/language-model.ts";
import { loadLm } from "../../server/lm/load.ts";
import { logitLens } from "../../server/lm/logit-lens.ts";
import { Stream } from "../../server/lm/stream.ts";
import { repoRoot } from "../parts.ts";
import { testDevice } from "./closeness.ts";

const device = testDevice();
const prompt = Int32Array.of(3, 14, 15, 92, 65);
let lm: LanguageModel;

beforeAll(async () => {
  lm = await loadLm(join(repoRoot, "test/golden/tiny-lms/qwen3"), device);
});

afterAll(async () => {
  await lm.release();
  await device.close();
});

describe("generate", () => {
  test("the same seed gives the same tokens, another seed others", async () => {
    const options = { ids: prompt, maxNewTokens: 20, temperature: 3 };
    const first = await generate(lm, { ...options, seed: 1 });
    expect(first.length).toBe(20);
    expect(await generate(lm, { ...options, seed: 1 })).toEqual(first);
    expect(await generate(lm, { ...options, seed: 2 })).not.toEqual(first);
  });

  test("samples follow the softmax of the logits", async () => {
    const stream = new Stream(lm);
    stream.setIds(prompt);
    const { topIds, topProbabilities } = await stream.predictions(1);
    const last = prompt.length - 1;
    const n = 400;
    let hits = 0;
    for (let seed = 0; seed < n; seed++) {
      const [id] = await generate(lm, {
        ids: prompt,
        maxNewTokens: 1,
        temperature: 1,
        seed,
        stream,
      });
      if (id === topIds[last]) hits++;
    }
    const p = topProbabilities[last]!;
    expect(p).toBeGreaterThan(0.05);
    expect(Math.abs(hits / n - p)).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / n));
  });

  test("ends with the model's end-of-sequence id, with the context, or when cancelled", async () => {
    const free = await generate(lm, { ids: prompt, maxNewTokens: 10 });
    const ending = Object.create(lm, { eosIds: { value: [free[3]!] } }) as LanguageModel;
    const ended = await generate(lm.eosIds.length === 0 ? ending : lm, {
      ids: prompt,
      maxNewTokens: 10,
      stream: new Stream(lm),
    });
    expect(ended).toEqual(free.slice(0, free.indexOf(free[3]!) + 1));
    const filled = await generate(lm, { ids: prompt, maxNewTokens: 1000 });
    expect(prompt.length + filled.length).toBe(lm.config.n_ctx);
    const controller = new AbortController();
    const heard: number[] = [];
    const cancelled = generate(lm, {
      ids: prompt,
      maxNewTokens: 10,
      signal: controller.signal,
      onToken(id) {
        heard.push(id);
        if (heard.length === 3) controller.abort();
      },
    });
    await expect(cancelled).rejects.toThrow("aborted");
    expect(heard).toEqual(Array.from(free.subarray(0, 3)));
  });

  test("nothing cannot be continued", async () => {
    const nothing = generate(lm, { ids: new Int32Array(0), maxNewTokens: 3 });
    await expect(nothing).rejects.toThrow("nothing to continue");
  });
});

describe("logit lens", () => {
  test.each(["qwen3", "gpt2", "gemma2"])(
    "%s: rows through norm weight and unembedding",
    async (family) => {
      const model = await loadLm(join(repoRoot, "test/golden/tiny-lms", family), device);
      const { d_model, d_vocab, tiedEmbedding } = model.config;
      const row = Float32Array.from({ length: 2 * d_model }, (_, i) => Math.sin(i * i));
      const { ids, values, k } = await logitLens(model, row, 5);
      expect(k).toBe(5);
      const { names } = model.architecture;
      const W_U = model.weights.readFloat32(tiedEmbedding ? names.embedding : names.unembedding);
      const scale = model.weights.readFloat32(`${names.finalNorm.name}.weight`);
      for (let r = 0; r < 2; r++) {
        const x = [...row.subarray(r * d_model, (r + 1) * d_model)];
        const mean = family === "gpt2" ? x.reduce((sum, value) => sum + value, 0) / d_model : 0;
        const scaled = x.map(
          (value, i) => (value - mean) * (scale[i]! + (family === "gemma2" ? 1 : 0)),
        );
        const logits = Array.from({ length: d_vocab }, (_, id) =>
          scaled.reduce((sum, value, i) => sum + value * W_U[id * d_model + i]!, 0),
        );
        const best = logits.map((_, id) => id).sort((a, b) => logits[b]! - logits[a]!);
        expect([...ids.subarray(r * 5, r * 5 + 5)]).toEqual(best.slice(0, 5));
        for (let i = 0; i < 5; i++) expect(values[r * 5 + i]).toBeCloseTo(logits[best[i]!]!, 4);
      }
      await model.release();
    },
  );
});
