/** What TopK, AbsTopK, BatchTopK and Matryoshka check alike. */
import type { AuxOptions } from "../auxiliary-loss.ts";
import type { CommonConfig } from "../common-config.ts";

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
