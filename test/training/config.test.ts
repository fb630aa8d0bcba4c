import { describe, expect, test } from "vitest";
import { UserError } from "../../server/base/errors.ts";
import { parseTrainConfig } from "../../server/training/config.ts";
import { importTrainConfig } from "../../server/training/import-config.ts";
import { goldenHyper, goldenNames, sharedNames } from "./golden-runs.ts";

const topk = { architecture: "topk", d_in: 8, d_sae: 32, k: 4, steps: 100, lr: 1e-3 } as const;
const standard = {
  architecture: "standard",
  d_in: 8,
  d_sae: 32,
  steps: 100,
  lr: 1e-3,
  sparsity: { kind: "l1", coefficient: 1 },
} as const;
const transcoder = { d_out: 6, applyBDecToInput: false, init: { encoder: "own" } } as const;

function checkError(run: () => unknown, code: string, text: string): void {
  let error: unknown;
  try {
    run();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(UserError);
  expect(error).toMatchObject({ code, message: text });
}

describe("a config", () => {
  test("is complete after reading, and reads again as itself", () => {
    const config = parseTrainConfig(topk, "run.jsonc");
    expect(config).toMatchObject({
      adam: { beta1: 0.9, beta2: 0.999 },
      clipGradNorm: 1,
      tied: false,
    });
    expect(JSON.parse(JSON.stringify(config))).toEqual(config);
    expect(parseTrainConfig(JSON.parse(JSON.stringify(config)), "run.jsonc")).toEqual(config);
  });

  test.each([
    ["a missing number", { ...topk, lr: undefined }, `"lr" is missing; expected a number above 0`],
    ["a wrong number", { ...topk, k: 2.5 }, `"k" is 2.5; expected a whole number above 0`],
    [
      "a wrong word",
      { ...topk, init: { distribution: "cube" } },
      `"init.distribution" is "cube"; expected one of "uniform", "normal"`,
    ],
    [
      "a wrong architecture",
      { ...topk, architecture: "relu" },
      `"architecture" is "relu"; expected one of "standard", "topk", "batchtopk", "matryoshka", "jumprelu", "gated", "abstopk"`,
    ],
    [
      "a wrong kind of penalty",
      { ...standard, sparsity: { kind: "l0" } },
      `"sparsity.kind" is "l0"; expected one of "l1", "p_anneal"`,
    ],
    ["no object at all", 7, `"the config" is 7; expected an object`],
  ])("%s", (_, value, text) =>
    checkError(
      () => parseTrainConfig(value, "run.jsonc"),
      "bad-train-config",
      `run.jsonc: ${text}`,
    ),
  );

  test("an option that nobody knows", () => {
    expect(() => parseTrainConfig({ ...topk, learning_rate: 1 }, "run.jsonc")).toThrow(
      'run.jsonc: there is no option "learning_rate"; known are architecture, d_in,',
    );
    checkError(
      () => parseTrainConfig({ ...topk, adam: { beta3: 1 } }, "run.jsonc"),
      "unknown-train-option",
      'run.jsonc: there is no option "adam.beta3": remove it or correct its name',
    );
  });

  test.each([
    [{ ...topk, k: 40 }, `"k" is 40, but there are only 32 latents ("d_sae")`],
    [
      { ...topk, normalizeActivations: { kind: "layer_norm" } },
      `"aux" cannot be used with "normalizeActivations.kind" "layer_norm", which gives each token a length of its own; set "aux" to null`,
    ],
    [
      { ...standard, d_out: 6 },
      `"applyBDecToInput" is true, but b_dec of a transcoder belongs to its output; set it to false`,
    ],
    [
      { ...standard, ...transcoder, init: {} },
      `"init.encoder" is "decoder", but rows of W_enc are 8 and rows of W_dec 6 wide; set it to "own"`,
    ],
    [
      { ...topk, ...transcoder },
      `"architecture" is "topk", but SAELens's format has no TopK transcoder; train "batchtopk", which becomes a JumpReLU transcoder`,
    ],
    [
      { ...topk, lrSchedule: { kind: "trapezoid", warmUpSteps: 1000 } },
      `"lrSchedule.warmUpSteps" is 1000, but the run has 100 steps; the learning rate would never be reached`,
    ],
    [
      { ...topk, lrSchedule: { kind: "chained", warmUpSteps: 80, decaySteps: 40 } },
      `"lrSchedule" has 80 steps of warm-up and 40 of decay, but the run has 100 steps`,
    ],
    [
      { ...topk, architecture: "matryoshka", widths: [8, 16] },
      `"widths" is [8, 16]; its last entry must be "d_sae", 32`,
    ],
    [
      { ...standard, skip: true },
      `"skip" is true, but only a transcoder ("d_out") has a path beside its latents`,
    ],
  ])("options that contradict each other", (value, text) =>
    checkError(
      () => parseTrainConfig(value, "run.jsonc"),
      "conflicting-train-options",
      `run.jsonc: ${text}`,
    ),
  );
});

const read = (name: string, without: readonly string[]) => () => {
  const entries = Object.entries(goldenHyper(name)).filter(([key]) => !without.includes(key));
  return importTrainConfig(Object.fromEntries(entries), "config.json");
};

describe("configs of other libraries", () => {
  test.each(goldenNames)("%s is read, and every option of it is known", (name) => {
    const hyper = goldenHyper(name);
    const config = importTrainConfig({ hyper }, name);
    expect(parseTrainConfig(JSON.parse(JSON.stringify(config)), name)).toEqual(config);
    const more = (at: string) =>
      at === ""
        ? { ...hyper, quantum: 1 }
        : { ...hyper, [at]: { ...(hyper[at] as object), quantum: 1 } };
    for (const at of name.startsWith("sae-lens") ? ["", "sae_cfg", "trainer_cfg"] : [""]) {
      const run = () => importTrainConfig(more(at), "theirs.json");
      const key = at === "" ? "quantum" : `${at}.quantum`;
      expect(run).toThrow(`theirs.json: there is no option "${key}"; known are `);
    }
  });

  test("what the library leaves out of its own configs is asked for", () => {
    const dl = "dictionary-learning";
    checkError(
      read(`${dl}/gated`, ["steps"]),
      "bad-train-config",
      `config.json: "steps" is missing; expected a number`,
    );
    expect(read(`${dl}/jumprelu`, ["warmup_steps"])).toThrow(
      `config.json: "lrSchedule.warmUpSteps" is 1000, but the run has 20 steps`,
    );
  });

  test("dictionary_learning's config.json, with its hook point", () => {
    const trainer = { ...goldenHyper("dictionary-learning/topk"), lr: null };
    const config = importTrainConfig({ trainer }, "config.json");
    expect(config.metadata).toEqual({ model_name: "x", hook_name: "blocks.9.hook_resid_post" });
    // 2e-4 / sqrt(128 / 2^14)
    expect(config.lr).toBeCloseTo(2e-4 * Math.sqrt(128), 12);
  });

  test.each([
    [
      "sae_cfg",
      "dtype",
      "bfloat16",
      `"sae_cfg.dtype" is "bfloat16", which cannot be reproduced here`,
    ],
    [
      "trainer_cfg",
      "autocast",
      true,
      `"trainer_cfg.autocast" is true, which cannot be reproduced here`,
    ],
    [
      "sae_cfg",
      "architecture",
      "temporal",
      `"sae_cfg.architecture" is "temporal"; expected one of standard,`,
    ],
    ["trainer_cfg", "lr", "high", `"trainer_cfg.lr" is "high"; expected a number`],
  ])("SAELens: %s.%s", (part, key, value, text) => {
    const hyper = goldenHyper("sae-lens/standard");
    const changed = { ...hyper, [part]: { ...(hyper[part] as object), [key]: value } };
    expect(() => importTrainConfig(changed, "theirs.json")).toThrow(`theirs.json: ${text}`);
  });

  test("something else", () =>
    expect(() => importTrainConfig({ lr: 1 }, "theirs.json")).toThrow(
      'theirs.json: "the config" is {"lr":1}; expected a SAELens config ("sae_cfg" and "trainer_cfg") or',
    ));

  test("all shared goldens were read", () => expect(sharedNames).toHaveLength(22));
});
