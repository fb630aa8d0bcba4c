import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readSafetensors } from "../../server/encoding/safetensors.ts";
import type { Engine } from "../../server/engine/engine.ts";
import type { SaeReading } from "../../server/protocol/reader.ts";
import type { Tensor } from "../../server/tensor/tensor.ts";
import { repoRoot } from "../parts.ts";
import { demoLm, demoSae, openEngine, plainContext } from "./engine.ts";

let engine: Engine;
let lm: string;
beforeAll(async () => {
  engine = await openEngine();
  lm = (await engine.loadLm({ path: demoLm })).id;
});
afterAll(() => engine.close());

/** Threshold within which two latents may swap places, or one flip, as the goldens' own note says. */
const tolerance = 1e-3;

function checkTop(
  reading: SaeReading,
  golden: { latents: Tensor; values: Tensor },
  l0: number[],
): void {
  const k = golden.values.dims[1] ?? 0;
  for (const [token, count] of l0.entries()) {
    const from = reading.offsets[token] ?? 0;
    const own = new Map<number, number>();
    for (let at = from; at < (reading.offsets[token + 1] ?? 0); at++)
      own.set(reading.latents[at] ?? -1, reading.acts[at] ?? 0);
    expect(own.size, `L0 of token ${token}`).toBe(count);
    for (let rank = 0; rank < Math.min(k, count); rank++) {
      const latent = Number(golden.latents.data[token * k + rank]);
      const value = Number(golden.values.data[token * k + rank]);
      expect(
        Math.abs((own.get(latent) ?? 0) - value),
        `token ${token}, latent ${latent}`,
      ).toBeLessThan(tolerance);
    }
  }
}

describe.each([
  ["goldens", ["resid2-1024", "resid2-6144"]],
  ["goldens-k2", ["resid2-6144-k2"]],
])("demo %s: text in, latents out", (file, saes) => {
  const folder = join(repoRoot, "test/golden/demo");
  const facts = JSON.parse(readFileSync(join(folder, `${file}.json`), "utf8")) as {
    prompts: ({ text: string; ids: number[] } & Record<string, number[]>)[];
  };
  const tensors = readSafetensors(readFileSync(join(folder, `${file}.safetensors`)));
  test.each(facts.prompts.map((prompt, index) => ({ prompt, index })))(
    "prompt $index",
    async ({ prompt, index }) => {
      for (const name of saes) await engine.loadSae({ path: demoSae(name), lm });
      const reading = await engine.analyse({
        stream: `golden ${file} ${index}`,
        lm,
        saes,
        context: plainContext(prompt.text),
      });
      expect([...reading.tokens.ids]).toEqual(prompt.ids);
      for (const name of saes) {
        const golden = {
          latents: tensors.get(`${index}.${name}.latents`) as Tensor,
          values: tensors.get(`${index}.${name}.values`) as Tensor,
        };
        const l0 = prompt[`${name} active per token`] ?? [];
        expect(l0).toHaveLength(prompt.ids.length);
        checkTop(reading.saes[name] as SaeReading, golden, l0);
      }
    },
  );
});

test("next-token figures go on from the latents' stream and agree with the golden logits' order", async () => {
  const folder = join(repoRoot, "test/golden/demo");
  const facts = JSON.parse(readFileSync(join(folder, "goldens.json"), "utf8")) as {
    prompts: { text: string }[];
  };
  const tensors = readSafetensors(readFileSync(join(folder, "goldens.safetensors")));
  const text = facts.prompts[0]?.text ?? "";
  const found = await engine.predictions({
    stream: "golden goldens 0",
    lm,
    context: plainContext(text),
    prependBos: true,
    k: 5,
  });
  const ids = tensors.get("0.logits.ids") as Tensor;
  const logits = tensors.get("0.logits.values") as Tensor;
  for (let at = 0; at < ids.data.length; at++) {
    // Logit differences are log-probability ratios.
    const first = at - (at % 5);
    const expected = Number(logits.data[at]) - Number(logits.data[first]);
    const ratio = Math.log(
      (found.topProbabilities[at] ?? 0) / (found.topProbabilities[first] ?? 1),
    );
    expect(Math.abs(ratio - expected)).toBeLessThan(2e-3);
    if (found.topIds[at] !== Number(ids.data[at])) {
      const near = [at - 1, at + 1].map((it) =>
        Math.abs(Number(logits.data[it]) - Number(logits.data[at])),
      );
      expect(Math.min(...near)).toBeLessThan(2e-3);
    }
  }
});

test("self-check: measured figures near those that the demo was published with", async () => {
  await engine.loadSae({ path: demoSae("resid2-6144"), lm });
  await engine.loadSae({ path: demoSae("meta-512"), lm });
  const check = await engine.selfCheck({ sae: "resid2-6144", lm });
  // Published on another text: explained variance 0.897, L0 16.0.
  expect(check.l0).toBeGreaterThan(12);
  expect(check.l0).toBeLessThan(22);
  expect(check.fvu).toBeGreaterThan(0.05);
  expect(check.fvu).toBeLessThan(0.2);
  expect(check.warnings).toEqual([]);
  const meta = await engine.selfCheck({ sae: "meta-512", lm });
  expect(meta.fvu).toBeLessThan(0.7);
  expect(meta.shuffledFvu).toBeGreaterThan(meta.fvu + 0.1);
  // The second time it is read from the cache and equal.
  expect(await engine.selfCheck({ sae: "resid2-6144", lm })).toEqual(check);
});

test("meta-latents and logit effects of latents", async () => {
  await engine.loadSae({ path: demoSae("resid2-6144"), lm });
  await engine.loadSae({ path: demoSae("meta-512"), lm });
  const found = await engine.metaLatents({ meta: "meta-512", latents: [17, 33], k: 4 });
  expect(found.every(({ parts }) => parts.length <= 4 && parts.length > 0)).toBe(true);
  const [first, second] = found[0]?.parts ?? [];
  expect(first?.activation).toBeGreaterThan(second?.activation ?? 0);
  const { texts } = await engine.logitEffects({
    lm,
    sae: "resid2-6144",
    latents: [17, 2217],
    k: 3,
  });
  expect(texts.map((row) => row.length)).toEqual([3, 3]);
});

test("errors say what was found, what was expected and what to do", async () => {
  await expect(engine.loadLm({ path: "/no/such/model" })).rejects.toMatchObject({
    code: "not-found",
  });
  await expect(
    engine.analyse({ stream: "s", lm, saes: ["nothing"], context: plainContext("x") }),
  ).rejects.toThrow();
  const params = { stream: "s", lm, saes: ["meta-512"], context: plainContext("x") };
  await expect(engine.analyse(params)).rejects.toMatchObject({ code: "meta-sae-reads-no-text" });
});

test("a model that does not fit the budget is refused with the table of bytes", async () => {
  const small = await openEngine(8e6);
  await expect(small.loadLm({ path: demoLm })).rejects.toThrow(
    /needs \d+ MiB where latentWorkbench\.memoryBudget allows[\s\S]*blocks[\s\S]*keys and values[\s\S]*Raise the budget/,
  );
  await small.close();
});
