/** Good values for a training that only a few questions are asked about. */
import type { TrainArchitecture } from "../server/protocol/runs.ts";

/** An architecture as the list offers it. */
export interface ArchitectureText {
  readonly architecture: TrainArchitecture;
  readonly name: string;
  readonly detail: string;
}

/** All architectures of the guided start. */
export const architectures: readonly ArchitectureText[] = [
  {
    architecture: "batchtopk",
    name: "BatchTopK",
    detail: "L0 as asked on average over a batch; few dead latents; the place to start",
  },
  {
    architecture: "topk",
    name: "TopK",
    detail: "exactly so many latents at every token",
  },
  {
    architecture: "matryoshka",
    name: "Matryoshka BatchTopK",
    detail: "nested widths; the first latents are the most general; less absorption",
  },
  {
    architecture: "jumprelu",
    name: "JumpReLU",
    detail: "a learned threshold for each latent; an L0 penalty finds the sparsity",
  },
  {
    architecture: "standard",
    name: "Standard (L1)",
    detail: "ReLU with an L1 penalty; for comparison with older work",
  },
  {
    architecture: "gated",
    name: "Gated",
    detail: "gate and magnitude apart, so that the L1 penalty shrinks no activations",
  },
  {
    architecture: "abstopk",
    name: "AbsTopK",
    detail: "the largest latents of either sign at every token",
  },
];

/** Latents for a model of this width: sixteen times as many. */
export function defaultWidth(d_model: number): number {
  return 16 * d_model;
}

/** Active latents per token: about a sixteenth of the width, as a power of two from 8 to 64. */
export function defaultL0(d_model: number): number {
  return Math.min(64, Math.max(8, 2 ** Math.round(Math.log2(d_model / 16))));
}

/**
 * Tokens to train on: 800 for each latent, which brought the demo's SAEs near their end; no more than ten passes over
 * a corpus whose size (bytes) is known, about four bytes to a token.
 */
export function defaultTokens(d_sae: number, corpusBytes: number | undefined): number {
  const wanted = 800 * d_sae;
  if (corpusBytes === undefined) return rounded(wanted);
  return rounded(Math.max(10_000, Math.min(wanted, (10 * corpusBytes) / 4)));
}

/** Latents of a meta-SAE: a twentieth of its parent's (Bussmann et al. 2024: 2304 for 49,152), as a power of two. */
export function defaultMetaWidth(d_sae: number): number {
  return Math.max(16, 2 ** Math.round(Math.log2(d_sae / 20)));
}

/** Decoder rows that a meta-SAE reads while it is trained: each of its parent's 200 times. */
export function defaultMetaRows(d_sae: number): number {
  return rounded(200 * d_sae);
}

/** "2M", "500k", "1.5 B" or a plain number; undefined for anything else, or less than 1. */
export function parseCount(text: string): number | undefined {
  const match = /^\s*(\d[\d.,_ ]*?)\s*([kmb]?)\s*$/i.exec(text);
  if (!match) return undefined;
  const [, digits = "", unit = ""] = match;
  // A comma or a blank parts thousands, a point is decimal.
  const amount = Number(digits.replaceAll(/[,_ ]/g, ""));
  const count = Math.round(amount * { "": 1, k: 1e3, m: 1e6, b: 1e9 }[unit.toLowerCase()]!);
  return Number.isSafeInteger(count) && count >= 1 ? count : undefined;
}

/** A count as `parseCount` reads it. */
export function countText(count: number): string {
  for (const [size, unit] of [
    [1e9, "B"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (count >= size && count % (size / 100) === 0) return `${count / size}${unit}`;
  }
  return String(count);
}

function rounded(count: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(count)) - 1);
  return Math.round(count / unit) * unit;
}
