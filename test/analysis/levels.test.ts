/** Levels of decomposition on a toy: a meta-SAE that knows every direction loses nothing; two atoms share a parent. */
import { expect, test } from "vitest";
import { ontoMetaLatents } from "../../server/analysis/meta/onto-meta-latents.ts";
import { levelsOf } from "../../server/engine/absorption/levels.ts";
import type { ProbeStage } from "../../server/engine/absorption/word-activations.ts";
import { levelName } from "../../server/protocol/decompositions.ts";
import type { LoadedSae } from "../../server/engine/loaded.ts";
import { openDevice } from "../../server/runtime/device.ts";
import type { Sae } from "../../server/sae/sae.ts";
import { seeded } from "../random.ts";
import { toySae, unit, unitDirections } from "./toy-saes.ts";

test("activations are handed on by decoder norm and membership", () => {
  const onto = ontoMetaLatents(
    {
      offsets: Int32Array.of(0, 2, 2),
      latents: Int32Array.of(1, 0),
      acts: Float32Array.of(3, 2),
    },
    {
      // Latent 0 is meta-latent 0; latent 1 is half of 0 and a bit of 1.
      acts: {
        offsets: Int32Array.of(0, 1, 3),
        latents: Int32Array.of(0, 0, 1),
        acts: Float32Array.of(1, 0.5, 0.25),
      },
      norms: Float32Array.of(1, 2),
    },
  );
  expect([...onto.offsets]).toEqual([0, 2, 2]);
  expect([...onto.latents]).toEqual([0, 1]);
  expect([...onto.acts]).toEqual([2 + 3 * 2 * 0.5, 3 * 2 * 0.25]);
});

test("a meta-SAE of all directions has its parent's FVU; one label is said best by a shared part", async () => {
  const { device } = await openDevice({ device: "cpu", threads: 1, memoryBudget: 2 ** 30 });
  const [n, d] = [12, 48];
  const atoms = unitDirections(n, d, 4);
  // Every other latent has atom 0 in it: the label of their words.
  const rows = atoms.map((atom, latent) =>
    latent % 2 === 0 && latent > 0 ? unit(atom.map((it, at) => it + atoms[0]![at]!)) : atom,
  );
  const b_dec = Array.from({ length: d }, (_, at) => Math.sin(at) / 4);
  const sae = await toySae(device, { W_dec: rows, b_dec, threshold: rows.map(() => 1.5) });
  const all = await toySae(device, { W_dec: rows, threshold: rows.map(() => 0.95) });
  const parts = await toySae(device, { W_dec: atoms, threshold: rows.map(() => 0.5) });
  // A meta-SAE of that one, which knows each of its directions.
  const again = await toySae(device, { W_dec: atoms, threshold: rows.map(() => 0.95) });
  const random = seeded(9);
  const words = (count: number): ProbeStage["train"] => {
    const x = new Float32Array(count * d);
    const values = new Uint8Array(count);
    const list = Array.from({ length: count }, (_, word) => {
      const latent = 1 + Math.floor(random() * (n - 1));
      for (let at = 0; at < d; at++) x[word * d + at] = b_dec[at]! + 2 * rows[latent]![at]!;
      values[word] = latent % 2 === 0 ? 1 : 0;
      return { text: String(word), id: word, labels: values[word] ? [0] : [] };
    });
    return { x, words: list as never, labels: { nRows: count, nLabels: 1, values } };
  };
  const stage = { d, train: words(200), test: words(80) } as ProbeStage;
  const levels = await levelsOf(
    stage,
    {
      sae: loaded("sae", sae),
      metas: [loaded("again", again, "parts"), loaded("all", all), loaded("parts", parts)],
    },
    { step: (job) => job(), onProgress: () => {} },
  );
  const [own, whole, split, stack] = levels;
  expect(levels.map(levelName)).toEqual([
    "sae",
    "all of sae",
    "parts of sae",
    "again of parts of sae",
  ]);
  expect(stack).toEqual({ ...split, meta: "again", through: ["parts"], fvu: stack!.fvu });
  expect(stack!.fvu).toBeCloseTo(split!.fvu, 3);
  expect(whole?.fvu).toBeCloseTo(own!.fvu, 3);
  expect(whole?.l0).toBe(own!.l0);
  expect(whole?.f1).toEqual(own!.f1);
  expect(own!.f1[0]).toBeLessThan(0.6);
  expect(split!.f1[0]).toBeGreaterThan(0.95);
  expect(own!.bits).toBeCloseTo(own!.l0 * (Math.log2(n) + 8), 6);
  for (const it of [sae, all, parts, again]) await it.release();
  await device.close();
});

function loaded(id: string, sae: Sae, metaOf?: string): LoadedSae {
  return { id, sae, info: { d_sae: sae.config.d_sae, metaOf } } as LoadedSae;
}
