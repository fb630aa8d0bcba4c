/** What TopK, AbsTopK, BatchTopK and Matryoshka have in common. */
import type { AuxOptions } from "../auxiliary-loss.ts";
import { openBatchSelector } from "../batch-selector.ts";
import type { CommonConfig } from "../common-config.ts";
import { denseTopk, type TopkChoice } from "../dense-topk.ts";
import type { TrainerKind } from "../form.ts";
import { openRowSelector } from "../row-selector.ts";
import { openSparseForm } from "../sparse-form.ts";

/** Both ways of taking a step, for an architecture that keeps this. */
export function topkForms<C extends CommonConfig>(
  choice: (config: C) => TopkChoice,
): Pick<TrainerKind<C>, "open" | "dense"> {
  return {
    async open(parts) {
      const { of, ...all } = choice(parts.config);
      const selector =
        of === "rows" ? await openRowSelector(parts, all) : await openBatchSelector(parts, all.k);
      return openSparseForm(parts, { ...all, selector });
    },
    dense: (config) => denseTopk(config, choice(config)),
  };
}

/** What is wrong with options that are fine one by one. */
export function topkProblem(
  config: CommonConfig & { readonly k: number; readonly aux: AuxOptions | null },
): string | undefined {
  const { k, d_sae, aux, normalizeActivations } = config;
  if (k > d_sae) return `"k" is ${k}, but there are only ${d_sae} latents ("d_sae")`;
  const { kind } = normalizeActivations;
  const perToken = kind === "constant_norm_rescale" || kind === "layer_norm";
  if (perToken && aux !== null && aux.coefficient > 0)
    return `"aux" cannot be used with "normalizeActivations.kind" "${kind}", which gives each token a length of its own; set "aux" to null`;
  return undefined;
}
