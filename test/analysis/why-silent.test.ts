// The split of a silent latent's pre-activation, on a toy whose exception is planted.
import { expect, test } from "vitest";
import { silenceParts } from "../../server/analysis/absorption/why-silent.ts";

/** The main latent reads the feature (axis 0) "and not" the exception (axis 1); the absorber's row points along both. */
const main = { latent: 0, direction: Float32Array.of(1, -1.2, 0), bias: -0.1, threshold: 0.1 };
const feature = Float32Array.of(3, 0, 0);
const absorber = Float32Array.of(0.6, 0.8, 0);

test("the planted exception is what keeps the latent silent, and the parts sum to the pre-activation", () => {
  const x = Float32Array.of(1.2, 1.6, 0.5);
  const { probe, rows, rest } = silenceParts(main, x, {
    direction: feature,
    latents: [7],
    acts: [2],
    decoderRows: absorber,
    mainRow: Float32Array.of(2, 0, 0),
  });
  expect(probe).toBeCloseTo(1.2, 6);
  expect(rows[0]!.part).toBeCloseTo(-1.92, 6);
  // (0.6 − 0.96) / √2.44, and what both write of the feature.
  expect(rows[0]!.encoderCosine).toBeCloseTo(-0.36 / Math.sqrt(2.44), 6);
  expect(rows[0]!.decoderCosine).toBeCloseTo(0.6, 6);
  expect(rest).toBeCloseTo(-0.1, 6);
  expect(probe + rows[0]!.part + rest).toBeCloseTo(1.2 - 1.92 - 0.1, 6);
});

test("without the exception the probe's part is all, and the latent would fire", () => {
  const { probe, rows, rest } = silenceParts(main, Float32Array.of(1.2, 0, 0.5), {
    direction: feature,
    latents: [8],
    acts: [1],
    decoderRows: Float32Array.of(0, 0, 0.5),
    mainRow: Float32Array.of(2, 0, 0),
  });
  expect(rows[0]!.part).toBeCloseTo(0, 6);
  expect(probe + rest).toBeGreaterThan(main.threshold);
});
