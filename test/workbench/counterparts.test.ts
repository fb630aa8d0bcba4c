/** Counterparts of a latent in narrower and wider SAEs. */
import { expect, test } from "vitest";
import type { SaeInfo } from "../../server/protocol/reader.ts";
import type { Relation } from "../../server/protocol/stitching.ts";
import { counterpartsOf } from "../../server/workbench/counterparts.ts";
import type { DecoderFacts } from "../../server/workbench/decoder-facts.ts";

const sae = (id: string, d_sae: number, hook = "blocks.1.hook_resid_post"): SaeInfo =>
  ({ id, d_sae, d_out: 4, hook }) as SaeInfo;
const [narrow, wide] = [sae("narrow", 3), sae("wide", 4)];
const saes = [narrow, wide, sae("elsewhere", 4, "blocks.2.hook_resid_post"), sae("new", 9)];

/** Wide latents 0 and 2 have narrow latent 1 above the rule, 2 also narrow latent 0; 1 and 3 have none. */
const relation: Relation = {
  wide: "wide",
  narrow: "narrow",
  best: Float32Array.of(0.75, 0.5, 0.875, 0.25),
  bestRow: Int32Array.of(1, 2, 1, 0),
  bestBack: new Float32Array(3),
  bestBackRow: new Int32Array(3),
  offsets: Int32Array.of(0, 1, 1, 3, 3),
  rows: Int32Array.of(1, 1, 0),
  cosines: Float32Array.of(0.75, 0.875, 0.75),
};
const facts = {
  relation: (a: string, b: string) => (a === "wide" && b === "narrow" ? relation : undefined),
} as DecoderFacts;
const of = (it: SaeInfo, latent: number) =>
  counterpartsOf({ sae: it, latent, saes }, facts, ({ id }, at) =>
    id === "narrow" && at === 1 ? "the" : undefined,
  );

test("a wide latent is a reconstruction of those above the rule, or novel", () => {
  expect(of(wide, 2)).toEqual([
    {
      sae: "narrow",
      kind: "reconstruction",
      latents: [
        { latent: 1, value: 0.875, label: "the" },
        { latent: 0, value: 0.75 },
      ],
    },
  ]);
  expect(of(wide, 1)).toEqual([
    { sae: "narrow", kind: "novel", latents: [{ latent: 2, value: 0.5 }] },
  ]);
});

test("a narrow latent lists the wide ones that have it, most similar first", () => {
  expect(of(narrow, 1)).toEqual([
    {
      sae: "wide",
      kind: "source",
      latents: [
        { latent: 2, value: 0.875 },
        { latent: 0, value: 0.75 },
      ],
    },
  ]);
  expect(of(narrow, 2)).toEqual([]);
});
