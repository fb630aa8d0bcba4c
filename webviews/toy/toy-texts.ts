/** Words of the page. */
import type { ToyArchitecture } from "../../server/protocol/toy.ts";
import { hasCoefficient, type Kept, type Knobs, type Varied } from "./toy-model.ts";

/** Names of the architectures. */
export const architectureNames: Readonly<Record<ToyArchitecture, string>> = {
  standard: "Standard",
  topk: "TopK",
  batchtopk: "BatchTopK",
  matryoshka: "Matryoshka",
  jumprelu: "JumpReLU",
  gated: "Gated",
};

/** What a series varies. */
export const variedNames: Readonly<Record<Varied, string>> = {
  nothing: "One run",
  sparsity: "Series: sparsity (L1 or k)",
  hierarchy: "Series: hierarchy",
  coOccurrence: "Series: co-occurrence",
  latents: "Series: number of latents",
  seed: "Series: seeds",
};

/** What the coefficient of an architecture weighs. */
export function coefficientName({ architecture }: Pick<Knobs, "architecture">): string {
  return architecture === "jumprelu" ? "L0 penalty" : "L1 penalty";
}

/** The SAE of a result. */
export function titleOf({ knobs }: Kept): string {
  const parts = [
    `${architectureNames[knobs.architecture]}${knobs.tied ? ", tied" : ""}`,
    hasCoefficient(knobs)
      ? `${coefficientName(knobs).split(" ")[0]} ${knobs.l1}`
      : `k ${knobs.k === 0 ? "auto" : knobs.k}`,
    ...(knobs.adversary > 0 ? [`adversary ${knobs.adversary}`] : []),
  ];
  return parts.join(", ");
}

/** The features of a result. */
export function subtitleOf({ knobs, result }: Kept): string {
  const { features, hierarchy, coOccurrence, steps, seed } = knobs;
  return `${features} features, ${result.densities.length} latents, hierarchy ${hierarchy}, co-occurrence ${coOccurrence}, ${steps} steps, seed ${seed}`;
}

/** A share or cosine; a dash where there is none. */
export function two(value: number | null): string {
  return value === null ? "–" : value.toFixed(2).replace(/^-(0\.00)$/, "$1");
}

/** A share in words of the page. */
export function percent(value: number | null): string {
  return value === null ? "–" : `${Math.round(100 * value)} %`;
}
