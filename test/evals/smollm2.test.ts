// The real model and SAE against SAEBench's own run on the same tokens.
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { beforeAll, expect, test } from "vitest";
import { evaluate } from "../../server/engine/evals/evaluate.ts";
import { describeWith, shared } from "../parts.ts";

const name = "smollm2-l9-w9216-k32";
const sae = shared(`models/saes/${name}-f16`);
const golden = shared("goldens/saebench");

describeWith(sae, "SAEBench's core evaluation of an SAE in SmolLM2", () => {
  let found: Record<string, Record<string, number>>;
  let details: Record<string, number>[];
  let wanted: Record<string, Record<string, number>>;

  beforeAll(async () => {
    const [evaluated] = await evaluate({
      lm: shared("models/smollm2"),
      saes: [sae],
      facts: {},
      prompts: { kind: "tokens", file: `${golden}/core_eval_tokens.safetensors` },
      batch: 8,
      reconstructionBatches: 3,
      varianceBatches: 6,
      ignoreSpecial: false,
      directions: true,
      device: "cpu",
      threads: availableParallelism(),
      program: "test",
      signal: new AbortController().signal,
      onProgress: () => {},
    });
    const json = evaluated!.json({ details: true });
    found = json["eval_result_metrics"] as typeof found;
    details = json["eval_result_details"] as typeof details;
    wanted = JSON.parse(readFileSync(`${golden}/core_${name}.json`, "utf8")).metrics;
  }, 180_000);

  // Theirs were made with the SAE in float32 and the model in float16, ours with the SAE in float16 and the GGUF's weights:
  // some activations lie on the other side of their threshold.
  test("every figure has its name and value", () => {
    for (const [category, figures] of Object.entries(wanted)) {
      expect(Object.keys(found[category]!).toSorted()).toEqual(Object.keys(figures).toSorted());
      for (const [key, it] of Object.entries(figures)) {
        if (key.includes("freq_over")) continue;
        const error = Math.abs(found[category]![key]! - it) / Math.abs(it);
        expect(error, `${key}: ${found[category]![key]}, not ${it}`).toBeLessThanOrEqual(3e-4);
      }
    }
  });

  test("scores agree to four decimals", () => {
    const scores = ["ce_loss_score", "kl_div_score", "explained_variance", "cossim"];
    for (const [category, figures] of Object.entries(wanted))
      for (const key of scores)
        if (key in figures) expect(found[category]![key]).toBeCloseTo(figures[key]!, 4);
  });

  test("at most three of 9,216 latents cross a limit of frequency", () => {
    const { misc_metrics: own } = found;
    for (const key of ["freq_over_1_percent", "freq_over_10_percent"])
      expect(Math.abs(own![key]! - wanted["misc_metrics"]![key]!)).toBeLessThanOrEqual(3 / 9216);
  });

  test("every latent's density and directions", () => {
    const all = JSON.parse(readFileSync(`${golden}/core_features_${name}.json`, "utf8"));
    const limits: Record<string, number> = {
      feature_density: 2.5 / 6144,
      encoder_norm: 1e-4,
      encoder_bias: 5e-4,
      encoder_decoder_cosine_sim: 2e-4,
      max_encoder_cosine_sim: 2e-4,
      max_decoder_cosine_sim: 2e-4,
    };
    expect(details.length).toBe(9216);
    for (const [key, limit] of Object.entries(limits)) {
      const worst = Math.max(
        ...details.map((it, at) => Math.abs(it[key]! - (all[key] as number[])[at]!)),
      );
      expect(worst, key).toBeLessThanOrEqual(limit);
    }
  });
});
