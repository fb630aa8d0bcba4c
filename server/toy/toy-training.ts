/** From a toy run's few options to a complete training config. */
import { parseTrainConfig, type TrainConfig } from "../training/config.ts";
import type { ToyArchitecture } from "../protocol/toy.ts";
import type { FeatureSet } from "./feature-set.ts";
import type { ToyConfig } from "./toy-config.ts";

/** What an architecture makes of the options. */
type Options = (given: {
  readonly config: ToyConfig;
  readonly d_sae: number;
  readonly k: number;
}) => Record<string, unknown>;

/** The penalty of standard and gated SAEs; it grows over the first tenth, so that no latent dies at once. */
const l1: Options = ({ config: { sae } }) => ({
  sparsity: { kind: "l1", coefficient: sae.l1, warmUpSteps: Math.floor(sae.steps / 10) },
});

/** Latents that were silent for a while are soon drawn to what is left unexplained. */
const dead = { after: 100 } as const;

const optionsOf: Readonly<Record<ToyArchitecture, Options>> = {
  standard: l1,
  gated: l1,
  topk: ({ k }) => ({ k: Math.ceil(k), dead, init: { decoderNorm: 1 } }),
  batchtopk: ({ k }) => ({ k, dead, init: { decoderNorm: 1 } }),
  // Levels of a quarter, a half and all of the latents.
  matryoshka: ({ k, d_sae }) => ({
    k,
    dead,
    widths: [...new Set([Math.ceil(d_sae / 4), Math.ceil(d_sae / 2), d_sae])],
  }),
  jumprelu: ({ config: { sae } }) => ({
    sparsity: { kind: "step", coefficient: sae.l1, warmUpSteps: Math.floor(sae.steps / 10) },
    // Magnitudes are about 1 and steps few: a window ten times as wide as for language models lets thresholds move.
    bandwidth: 0.5,
    initThreshold: 0.001,
  }),
};

/** The training config of a toy run. */
export function trainConfigOf(config: ToyConfig, set: FeatureSet): TrainConfig {
  const { architecture, tied, lr, steps, options } = config.sae;
  const d_sae = config.sae.d_sae ?? set.features.length;
  const k = Math.min(config.sae.k ?? set.meanActive, d_sae);
  return parseTrainConfig(
    {
      architecture,
      d_in: set.d_in,
      d_sae,
      steps,
      seed: config.seed,
      lr: lr ?? (architecture === "matryoshka" ? 3e-3 : 0.01),
      // Averages over many steps at the end, where the rate falls, are what is measured.
      lrSchedule: { kind: "chained", decaySteps: Math.floor(steps / 3) },
      tied,
      // From small directions, tied SAEs often stay where two latents share a parent.
      ...(tied ? { init: { decoderNorm: 1 } } : {}),
      ...optionsOf[architecture]({ config, d_sae, k }),
      ...(config.sae.adversary > 0 ? { adversary: adversaryOf(config, d_sae) } : {}),
      ...options,
    },
    "the toy run",
  );
}

/**
 * A meta-SAE that is too narrow to give each direction a meta-latent of its own, so that it finds what directions share: of
 * a parent that was absorbed, its part in the directions of its children.
 */
function adversaryOf({ sae }: ToyConfig, d_sae: number): Record<string, unknown> {
  return {
    coefficient: sae.adversary,
    startStep: Math.floor(sae.steps / 10),
    warmUpSteps: Math.floor(sae.steps / 10),
    train: { architecture: "topk", d_sae: Math.ceil(d_sae / 3), k: 1, lr: 0.01, aux: null },
  };
}
