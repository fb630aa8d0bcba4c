/** A real model against transformers: SmolLM2-135M from its GGUF file and from a Hugging Face folder in f16. */
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openSafetensors, type Weights } from "../../server/files/weights.ts";
import { generate } from "../../server/lm/generate.ts";
import type { LanguageModel } from "../../server/lm/language-model.ts";
import { loadLm } from "../../server/lm/load.ts";
import { Stream } from "../../server/lm/stream.ts";
import { describeWith, shared } from "../parts.ts";
import { seeded } from "../random.ts";
import { expectRows, testDevice } from "./closeness.ts";
import { smollm2F16Folder, smollm2Gguf } from "./smollm2-f16.ts";

interface Golden {
  readonly prompts: readonly { readonly name: string; readonly text: string; readonly ids: number[] }[];
  readonly greedy: Readonly<Record<string, { readonly new_ids: number[]; readonly text: string }>>;
}

const goldenFolder = shared("goldens/smollm2");

for (const weights of ["gguf", "f16"] as const) {
  describeWith(smollm2Gguf, `SmolLM2 from ${weights}`, () => {
    const device = testDevice();
    const golden = JSON.parse(
      readFileSync(join(goldenFolder, `lm_golden_${weights}.json`), "utf8"),
    ) as Golden;
    let tensors: Weights;
    let lm: LanguageModel;

    beforeAll(async () => {
      tensors = openSafetensors(join(goldenFolder, `lm_golden_${weights}.safetensors`));
      lm = await loadLm(weights === "gguf" ? smollm2Gguf : smollm2F16Folder(), device);
    }, 120_000);

    afterAll(async () => {
      await lm.release();
      tensors.close();
      await device.close();
    });

    test.each(golden.prompts.map(({ name }) => name))("prompt %s", async (name) => {
      const { ids, text } = golden.prompts.find((prompt) => prompt.name === name)!;
      expect([...lm.tokenizer.encode(text).ids]).toEqual(ids);
      const stream = new Stream(lm);
      stream.setIds(Int32Array.from(ids));
      expect(await checkHooks(lm, stream, tensors, name)).toBe(weights === "gguf" ? 10 : 2);
      await checkPredictions(lm, stream, tensors, name);
    });

    test.each(Object.keys(golden.greedy))("greedy continuation of %s", async (name) => {
      const prompt = golden.prompts.find((each) => each.name === name)!;
      const { new_ids, text } = golden.greedy[name]!;
      const found = await generate(lm, { ids: Int32Array.from(prompt.ids), maxNewTokens: 32 });
      expect([...found]).toEqual(new_ids);
      expect(lm.tokenizer.decode(found)).toBe(text);
    });

    test("random edits of a long text stay within the tolerance of a fresh read", async () => {
      const random = seeded(41);
      const hook = lm.hook("blocks.9.hook_resid_post");
      const name = "blocks.9.hook_resid_post";
      let ids = [...golden.prompts.find((prompt) => prompt.name === "long")!.ids];
      const stream = new Stream(lm);
      for (let edit = 0; edit < 12; edit++) {
        const at = Math.floor(random() * ids.length);
        const added = Array.from({ length: 1 + (edit % 3) }, () => Math.floor(random() * 49_152));
        ids = [...ids.slice(0, at), ...added, ...ids.slice(at + (edit % 4))];
        stream.setIds(Int32Array.from(ids));
        const found = (await stream.read([hook])).get(name)!;
        if (edit % 4 !== 3) continue;
        const fresh = new Stream(lm);
        fresh.setIds(Int32Array.from(ids));
        const want = (await fresh.read([hook])).get(name)!;
        expectRows(`edit ${edit}`, found.data, want.data, { width: 576 });
      }
    });
  });
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
    expect(alone.id).toBe("model");
    const text = "The year 1984, naïve 😀";
    expect(alone.tokenizer.encode(text).ids).toEqual(beside.tokenizer.encode(text).ids);
    await alone.release();
    await beside.release();
    await device.close();
    rmSync(folder, { recursive: true });
  });
});

/** Compares every activation of a prompt that the golden has, and says how many it has. */
async function checkHooks(
  lm: LanguageModel,
  stream: Stream,
  tensors: Weights,
  prompt: string,
): Promise<number> {
  const keys = tensors
    .names()
    .filter((key) => key.startsWith(`${prompt}/`) && /hook_|ln_final/.test(key))
    .map((key) => key.slice(prompt.length + 1));
  const hookOf = (key: string) => lm.hook(key === "ln_final.out" ? "ln_final.hook_normalized" : key);
  const found = await stream.read(keys.map(hookOf));
  for (const key of keys) {
    const want = tensors.readFloat32(`${prompt}/${key}`);
    const { data } = found.get(key === "ln_final.out" ? "ln_final.hook_normalized" : key)!;
    expectRows(`${prompt}/${key}`, data, want, { width: want.length / stream.ids.length });
  }
  return keys.length;
}

async function checkPredictions(
  lm: LanguageModel,
  stream: Stream,
  tensors: Weights,
  prompt: string,
): Promise<void> {
  const want = (key: string) => tensors.readFloat32(`${prompt}/${key}`);
  const n = stream.ids.length;
  const { nextTokenLoss, topIds, topProbabilities } = await stream.predictions(20);
  const logits = await stream.logits();
  const topLogits = Float32Array.from(topIds, (id, i) => {
    return logits.data[Math.floor(i / 20) * lm.config.d_vocab + id]!;
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
      width: lm.config.d_vocab,
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
