// SAEBench's absorption rule on its own numbers: 60 words under three choices of main latents.
import { describe, expect, test } from "vitest";
import {
  cosinesWith,
  projectionReading,
} from "../../server/analysis/absorption/projection-rule.ts";
import { golden, readArrays, readFacts } from "./goldens.ts";

interface Result {
  main_feature_ids: number[];
  absorption_fraction: number[];
  is_full_absorption: boolean[];
  probe_projection: number[];
  top_projection_features: number[][];
  top_probe_projections: number[][];
}

const [words, d_in, d_sae] = [60, 16, 64];
const array = readArrays(golden("absorption_calculator.safetensors"));
const { results } = readFacts(golden("absorption_calculator.json")) as {
  results: Record<string, Result>;
};
const probe = array("probe_direction");
const norm = Math.sqrt(probe.reduce((sum, it) => sum + it * it, 0));
const x = array("acts");
const acts = array("feature_acts");
const cosines = cosinesWith(array("W_dec"), probe);
const all = Array.from({ length: d_sae }, (_, latent) => latent);

describe.each(Object.entries(results))("main latents %s", (_, wanted) => {
  test.each(Array.from({ length: words }, (_, word) => word))("word %i", (word) => {
    const row = x.subarray(word * d_in, (word + 1) * d_in);
    const projection = row.reduce((sum, it, i) => sum + it * probe[i]!, 0) / norm;
    const dense = acts.subarray(word * d_sae, (word + 1) * d_sae);
    const latents = all.filter((latent) => dense[latent] !== 0);
    const found = projectionReading(
      { latents, acts: latents.map((latent) => dense[latent]!) },
      { cosines, main: wanted.main_feature_ids, projection },
    );
    expect(found.projection).toBeCloseTo(wanted.probe_projection[word]!, 5);
    expect(found.fraction).toBeCloseTo(wanted.absorption_fraction[word]!, 5);
    expect(found.isFull).toBe(wanted.is_full_absorption[word]);
    for (const [rank, value] of wanted.top_probe_projections[word]!.entries()) {
      // Among latents that carry nothing torch's order is arbitrary.
      if (value <= 0) continue;
      expect(found.strongest[rank]!.latent).toBe(wanted.top_projection_features[word]![rank]);
      expect(found.strongest[rank]!.projection).toBeCloseTo(value, 5);
    }
  });
});

const at = (mainAct: number, mainCosine = 0.9) =>
  projectionReading(
    { latents: [0, 1], acts: [mainAct, 2] },
    { cosines: Float32Array.of(mainCosine, 0.5), main: [0], projection: 1.2 },
  );

test("partial absorption: the main latent fires weakly, both point along the probe", () => {
  expect(at(0.3)).toMatchObject({ isPartial: true, isFull: false, mainFires: true });
  expect(at(0.3).fraction).toBeCloseTo(0.93 / 1.2, 6);
  expect(at(2)).toMatchObject({ isPartial: false, fraction: 0 });
  expect(at(0.3, -0.1)).toMatchObject({ isPartial: false });
});
