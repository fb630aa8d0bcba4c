import { afterEach, describe, expect, test } from "vitest";
import { divergence, effectsOf } from "../../server/analysis/intervention/effects.ts";
import {
  type Intervention,
  interventionSplice,
} from "../../server/analysis/intervention/intervention.ts";
import { meanDifference } from "../../server/analysis/intervention/mean-difference.ts";
import { generate } from "../../server/lm/generate.ts";
import { Stream } from "../../server/lm/stream.ts";
import { expectRows, testDevice } from "../lm/closeness.ts";
import { openTinyCase, type TinyCase } from "./tiny-case.ts";

const device = testDevice();
const open: TinyCase[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.release();
});

async function opened(name: string, rowsPerRun?: number): Promise<TinyCase> {
  const one = await openTinyCase(name, device, rowsPerRun);
  open.push(one);
  return one;
}

const latent = (index: number) => ({ kind: "latent", latent: index }) as const;

const vector = (n: number) => ({ kind: "direction", vector: new Float32Array(n) }) as const;
const text = (...ids: number[]) => ({ ids: Int32Array.from(ids), skip: 1 });

/** The goldens' interventions by name. */
function interventions(one: TinyCase): Record<string, Intervention & { keepError?: boolean }> {
  const direction = { kind: "direction", vector: one.golden("direction") } as const;
  const metaLatent = { kind: "meta-latent", latent: 2 } as const;
  return {
    add: { target: latent(3), mode: "add", amount: 2.5 },
    clamp: { target: latent(3), mode: "clamp", amount: 1.5 },
    scale: { target: latent(8), mode: "scale", amount: -2 },
    "ablate-without-error": { target: latent(8), mode: "ablate", amount: 0, keepError: false },
    "meta-clamp": { target: metaLatent, mode: "clamp", amount: 3 },
    "direction-add": { target: direction, mode: "add", amount: 1.5 },
    "direction-ablate": { target: direction, mode: "ablate", amount: 0 },
  };
}

function splice(
  one: TinyCase,
  list: readonly (Intervention & { keepError?: boolean })[],
  at: (position: number) => boolean = () => true,
) {
  const { site, meta, gradients } = one;
  const { d_model } = gradients.lm.config;
  const keepError = list.every((it) => it.keepError !== false);
  return interventionSplice({ interventions: list, at, layer: site.layer, d_model, site, meta, keepError }); // prettier-ignore
}

describe.each(["gpt2", "llama", "gemma2"])("%s with a random SAE, against torch", (name) => {
  test("logits of every intervention, and what is written with a cache", async () => {
    // Pieces of 5 rows: what an intervention does to a token must not hang on what comes with it.
    const one = await opened(name, name === "llama" ? 5 : undefined);
    const { lm } = one.gradients;
    for (const [key, intervention] of Object.entries(interventions(one))) {
      const stream = new Stream(lm, await splice(one, [intervention]));
      stream.setIds(one.ids);
      const { data } = await stream.logits();
      const width = lm.config.d_vocab;
      expectRows(key, data, one.golden(`${key}/logits`), { width });
      const written = await generate(lm, { ids: one.ids, maxNewTokens: 12, stream });
      const golden = [...one.golden(`${key}/continuation`)];
      const end = golden.findIndex((id) => lm.eosIds.includes(id));
      expect([...written], key).toEqual(end < 0 ? golden : golden.slice(0, end + 1));
    }
  });
});

describe("interventions", () => {
  test("writing with a cache equals running the whole text for every token", async () => {
    const one = await opened("llama");
    const { lm } = one.gradients;
    const { add, "meta-clamp": meta } = interventions(one);
    // Only some positions, of the text and of what is written.
    const change = await splice(one, [add!, meta!], (position) => position % 3 === 1);
    const stream = new Stream(lm, change);
    const cached = await generate(lm, { ids: one.ids, maxNewTokens: 10, stream });
    const sequence = [...one.ids];
    for (const id of cached) {
      const fresh = new Stream(lm, change);
      fresh.setIds(Int32Array.from(sequence));
      const { data } = await fresh.logits([sequence.length - 1]);
      expect(data.indexOf(Math.max(...data))).toBe(id);
      sequence.push(id);
    }
  });

  test("an edit of the text changes what is read after it only", async () => {
    const one = await opened("gpt2");
    const { lm } = one.gradients;
    const change = await splice(one, [interventions(one)["add"]!]);
    const stream = new Stream(lm, change);
    stream.setIds(one.ids);
    await stream.logits();
    const edited = one.ids.slice();
    edited[10] = 3;
    expect(stream.setIds(edited)).toBe(10);
    const again = await stream.logits();
    const fresh = new Stream(lm, change);
    fresh.setIds(edited);
    expectRows("logits", again.data, (await fresh.logits()).data, { width: lm.config.d_vocab });
  });

  test("nothing at the positions left out, and nothing by adding 0", async () => {
    const one = await opened("gpt2");
    const { lm } = one.gradients;
    const { add } = interventions(one);
    const common = { ids: one.ids, maxNewTokens: 4, temperature: 0, seed: 0, k: 3 };
    const later = await splice(one, [add!], (position) => position >= 8);
    const effects = await effectsOf(lm, { ...common, splice: later });
    expect(Math.max(...effects.divergence.subarray(0, 8))).toBe(0);
    expect(effects.divergence[8]).toBeGreaterThan(1e-4);
    const { original, changed } = effects;
    expect(changed.predictions.nextTokenLoss.subarray(0, 8)).toEqual(
      original.predictions.nextTokenLoss.subarray(0, 8),
    );
    const none = await splice(one, [{ ...add!, amount: 0 }]);
    const same = await effectsOf(lm, { ...common, splice: none });
    expect(Math.max(...same.divergence)).toBe(0);
    expect(same.changed).toEqual(same.original);
    expect(same.original.continuation).toEqual(
      await generate(lm, { ids: one.ids, maxNewTokens: 4 }),
    );
  });

  test("a latent, a meta-latent or a direction that is not there is refused", async () => {
    const one = await opened("gpt2");
    const refused = (target: Intervention["target"], text: string) =>
      expect(splice(one, [{ target, mode: "add", amount: 1 }])).rejects.toThrow(text);
    await refused(latent(48), "there is no latent 48: they go from 0 to 47");
    await refused({ kind: "meta-latent", latent: 10 }, "there is no meta-latent 10");
    await refused(vector(31), "the direction has 31 entries; the residual stream has d_model = 32");
    await refused(vector(32), "the direction is zero everywhere");
  });

  test("the difference of means between texts counts texts alike and leaves out their start", async () => {
    const one = await opened("gpt2");
    const { lm } = one.gradients;
    const [a, b, c] = [text(1, 5, 9), text(1, 7), text(1, 8, 8, 4)];
    const found = await meanDifference(lm, 1, { towards: [a, b], away: [c] });
    const rows = async ({ ids }: { ids: Int32Array }) => {
      const stream = new Stream(lm);
      stream.setIds(ids);
      const name = "blocks.0.hook_resid_post";
      return (await stream.read([lm.hook(name)])).get(name)!.data;
    };
    const [x, y, z] = [await rows(a), await rows(b), await rows(c)];
    for (let i = 0; i < 32; i++) {
      const towards = (x[32 + i]! + x[64 + i]!) / 4 + y[32 + i]! / 2;
      const away = (z[32 + i]! + z[64 + i]! + z[96 + i]!) / 3;
      expect(found[i]).toBeCloseTo(towards - away, 4);
    }
  });

  test("divergence of two distributions", () => {
    const p = Float32Array.from([0, Math.log(3)]);
    const q = Float32Array.from([0, 0]);
    // 0.25 ln(0.25 / 0.5) + 0.75 ln(0.75 / 0.5)
    expect(divergence(p, q)).toBeCloseTo(0.25 * Math.log(0.5) + 0.75 * Math.log(1.5), 6);
  });
});
