// Options of other libraries are read or refused by name; options that contradict each other are refused with the reason.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseTrainConfig } from "../../server/training/config.ts";
import { importTrainConfig } from "../../server/training/import-config.ts";
import { repoRoot } from "../parts.ts";

interface Options {
  readonly sae_cfg: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly trainer_cfg: Readonly<Record<string, unknown>>;
}

// What SAELens's classes have, written by test/python/sae_lens_options.py.
const options = JSON.parse(
  readFileSync(join(repoRoot, "test/golden/training-more/sae-lens-options.json"), "utf8"),
) as Options;
const sizes = { d_in: 16, d_sae: 128, matryoshka_widths: [32, 128] } as const;
const samples = { total_training_samples: 4096, train_batch_size_samples: 64 } as const;

describe.each(Object.entries(options.sae_cfg))("SAELens's %s", (architecture, all) => {
  const own = Object.fromEntries(
    Object.entries({ ...all, ...sizes }).filter(([key]) => key in all),
  );
  const read = (sae: object, trainer: object = {}) =>
    importTrainConfig(
      {
        sae_cfg: { architecture, ...own, ...sae },
        trainer_cfg: { ...options.trainer_cfg, ...samples, ...trainer },
      },
      "theirs",
    );

  if (architecture === "matching_pursuit") {
    test("is refused by name", () => {
      expect(() => read({})).toThrow(
        '"sae_cfg.architecture" is "matching_pursuit"; expected one of standard, gated, topk',
      );
    });
    return;
  }

  test("is read with every option that it has", () => {
    expect(read({})).toMatchObject({ d_in: 16, d_sae: 128, steps: 64 });
  });

  test("an option that it does not have is refused by name", () => {
    expect(() => read({ l9_coefficient: 1 })).toThrow(
      'there is no option "sae_cfg.l9_coefficient"',
    );
    expect(() => read({}, { swap: 1 })).toThrow('there is no option "trainer_cfg.swap"');
  });

  test.each([
    [{ dtype: "bfloat16" }, {}, '"sae_cfg.dtype" is "bfloat16"'],
    [{ reshape_activations: "hook_z" }, {}, '"sae_cfg.reshape_activations" is "hook_z"'],
    [{}, { autocast: true }, '"trainer_cfg.autocast" is true'],
    [{ normalize_activations: "constant_scalar_rescale" }, {}, "constant_scalar_rescale"],
  ])("%j %j cannot be reproduced, and says so", (sae, trainer, text) => {
    expect(() => read(sae, trainer)).toThrow(text);
  });
});

const base = { d_in: 8, d_sae: 32, steps: 100, lr: 1e-3 } as const;
const topk = { ...base, architecture: "topk", k: 4 } as const;
const whitened = { normalizeActivations: { kind: "covariance_whitening" } } as const;
const meta = { architecture: "topk", k: 2, d_sae: 8, lr: 0.01 } as const;

test.each([
  [{ ...topk, endToEnd: { kl: 0 } }, /neither "kl" nor "downstream"/],
  [{ ...topk, endToEnd: {}, aux: null, ...whitened }, /end-to-end training can only have "none"/],
  [
    { ...base, architecture: "matryoshka", k: 4, widths: [8, 32], endToEnd: {} },
    /only the squared error trains the inner levels/,
  ],
  [{ ...topk, attribution: { coefficient: 1 }, ...whitened }, /a penalty on attribution can only/],
  [
    { ...topk, adversary: { coefficient: 1, train: meta }, ...whitened },
    /turns the directions that "adversary" reads/,
  ],
  [
    { ...topk, adversary: { coefficient: 1, train: { ...meta, k: 9 } } },
    /"adversary.train": "k" is 9, but there are only 8 latents/,
  ],
  [
    { ...topk, adversary: { coefficient: 1, train: { ...meta, endToEnd: {} } } },
    /"endToEnd" cannot be had by a meta-SAE/,
  ],
  [{ ...topk, adversary: { train: meta } }, /"adversary.coefficient" is missing/],
  [{ ...topk, endToEnd: { kl: -1 } }, /"endToEnd.kl" is -1; expected a number, 0 or above/],
])("%j is refused", (config, text) => {
  expect(() => parseTrainConfig(config, "run.jsonc")).toThrow(text);
});

test("an adversary's options are completed, and read again as themselves", () => {
  const adversary = { coefficient: 1, startStep: 10, every: 3, stepsPerStep: 2, train: meta };
  const config = parseTrainConfig({ ...topk, seed: 7, adversary }, "run.jsonc");
  // Turns at the steps 10, 13, … 97.
  expect(config.adversary?.train).toMatchObject({ d_in: 8, steps: 60, seed: 7 });
  expect(parseTrainConfig(config, "run.jsonc")).toEqual(config);
});
