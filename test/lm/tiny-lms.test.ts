/** Every family against transformers: all activations, logits and greedy tokens of tiny random models. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSafetensors, type Weights } from "../../server/files/weights.ts";
import { generate } from "../../server/lm/generate.ts";
import { printHookPoint } from "../../server/lm/hook-points.ts";
import type { LanguageModel } from "../../server/lm/language-model.ts";
import { loadLm } from "../../server/lm/load.ts";
import { Stream } from "../../server/lm/stream.ts";
import { repoRoot } from "../parts.ts";
import { expectRows, testDevice } from "./closeness.ts";

const folder = join(repoRoot, "test/golden/tiny-lms");
const families = readdirSync(folder);

test("every family has its golden", () => {
  expect(families.sort()).toEqual([
    "gemma2",
    "gemma3",
    "gpt-neo",
    "gpt-neox",
    "gpt2",
    "llama",
    "llama-rope3",
    "mistral",
    "olmo2",
    "qwen2",
    "qwen3",
  ]);
});

describe.each(families)("%s", (family) => {
  const device = testDevice();
  let lm: LanguageModel;
  let golden: Weights;
  let sequences: Int32Array[];

  beforeAll(async () => {
    lm = await loadLm(join(folder, family), device);
    golden = openSafetensors(join(folder, family, "golden.safetensors"));
    const ids = Int32Array.from(golden.readFloat32("ids"));
    const length = golden.dims("ids")!.at(-1)!;
    sequences = Array.from({ length: ids.length / length }, (_, i) =>
      ids.slice(i * length, (i + 1) * length),
    );
  });

  afterAll(async () => {
    await lm.release();
    golden.close();
    await device.close();
  });

  test("activations and logits", async () => {
    const names = golden.names().filter((name) => /hook_|^logits$/.test(name));
    expect(names.length).toBeGreaterThan(2);
    for (const [i, ids] of sequences.entries()) {
      const stream = new Stream(lm);
      stream.setIds(ids);
      const hooks = names.map((name) => lm.hook(name));
      expect(hooks.map(printHookPoint)).toEqual(names);
      const found = await stream.read(hooks);
      for (const name of names) {
        const { data, dims } = found.get(name)!;
        const width = dims[1]!;
        expect([...dims], name).toEqual(golden.dims(name)!.slice(-2));
        const want = golden.readFloat32(name).subarray(i * data.length, (i + 1) * data.length);
        expectRows(`${name} of sequence ${i}`, data, want, { width });
      }
    }
  });

  if (readdirSync(join(folder, family)).includes("golden.json"))
    test("greedy tokens", async () => {
      const want = golden.readFloat32("generated");
      const n = golden.dims("generated")![1]!;
      for (const [i, ids] of sequences.entries()) {
        // The goldens go on past the end-of-sequence token.
        const heard: number[] = [];
        const stream = new Stream(lm);
        const sequence = [...ids];
        while (heard.length < n) {
          const maxNewTokens = n - heard.length;
          const options = { ids: Int32Array.from(sequence), maxNewTokens, stream };
          const found = await generate(lm, { ...options, onToken: (id) => heard.push(id) });
          sequence.push(...found);
        }
        expect(heard, `sequence ${i}`).toEqual([...want.subarray(i * n, (i + 1) * n)]);
      }
    });

  test("losses and most likely tokens agree with the logits", async () => {
    const logits = golden.readFloat32("logits");
    const d_vocab = golden.dims("logits")!.at(-1)!;
    const ids = sequences[0]!;
    const stream = new Stream(lm);
    stream.setIds(ids);
    const { nextTokenLoss, topIds, topProbabilities, k } = await stream.predictions(7);
    expect(k).toBe(7);
    for (let position = 0; position < ids.length; position++) {
      const row = logits.subarray(position * d_vocab, (position + 1) * d_vocab);
      const sum = row.reduce((total, logit) => total + Math.exp(logit), 0);
      const best = [...row.keys()].sort((a, b) => row[b]! - row[a]!).slice(0, 7);
      expect([...topIds.subarray(position * 7, position * 7 + 7)]).toEqual(best);
      for (const [i, id] of best.entries()) {
        expect(topProbabilities[position * 7 + i]).toBeCloseTo(Math.exp(row[id]!) / sum, 5);
      }
      const next = ids[position + 1];
      const loss = next === undefined ? Number.NaN : Math.log(sum) - row[next]!;
      if (Number.isNaN(loss)) expect(nextTokenLoss[position]).toBeNaN();
      else expect(nextTokenLoss[position]).toBeCloseTo(loss, 4);
    }
  });

  test("hook points that it lacks are named with the reason", async () => {
    const found = await new Stream(lm).read([]);
    expect(found.size).toBe(0);
    for (const [kind, reason] of Object.entries(lm.architecture.absentHooks)) {
      const name = printHookPoint({ kind: kind as "resid_mid", layer: 0 });
      expect(() => lm.hook(name)).toThrow(`no ${name} in ${lm.id}: ${reason}`);
    }
    const { n_layers } = lm.config;
    expect(() => lm.hook(`blocks.${n_layers}.hook_resid_post`)).toThrow(
      `no layer ${n_layers} in ${family}: it has layers 0 to ${n_layers - 1}`,
    );
  });
});
