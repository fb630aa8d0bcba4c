/**
 * The latent index: what every latent of an SAE does over a corpus, computed once (`engine/index`) and then read by
 * offset. A folder holds `index.json` and safetensors files (little-endian arrays behind a JSON header):
 *
 * - `summary`: one figure per latent, `[d_sae]`: `count` (tokens on which it is active), `max` and `mean` of |activation|.
 * - `vocabulary`: `bytes` (UTF-8 of all token texts) and `ends [d_vocab]`, so that whoever shows tokens needs no tokenizer.
 * - `tokens`: the token windows that were read (`token-windows.ts`).
 * - `token-latents`: for each vocabulary entry the latents that stand for it best, `[d_vocab, k]`.
 * - parts `FACET-00000`, …: some arrays for a stretch of latents, `[latents, …]`, by facet. Row i belongs to latent from + i.
 *
 * Parts exist so that neither writing nor a crash needs more memory or time than one part. `key` is a hash of what the
 * numbers depend on (LM, SAE, tokenizer, corpus with its policy, sizes, this layout). An index of another key or format
 * is built anew, never converted.
 */
import type { DType } from "../tensor/tensor.ts";

/** Names the layout; another layout gets another number. */
export const indexFormat = "latent-workbench-latent-index-2";

/** The file that makes a folder an index: written last, so an index is whole or absent. */
export const manifestName = "index.json";

/** Kinds of parts. */
export const facets = ["contexts", "coactive", "effects", "decoder", "encoder"] as const;

/** One of them. */
export type Facet = (typeof facets)[number];

/** How much is kept for each latent. */
export interface IndexSizes {
  /** Contexts with the strongest activations. */
  readonly top: number;
  /** The other contexts, ordered by activation, are cut into so many groups of equal size … */
  readonly quantiles: number;
  /** … and so many of each are kept. */
  readonly perQuantile: number;
  /** Tokens that are shown before and after the strongest of a context. */
  readonly before: number;
  readonly after: number;
  /** Bins of the histogram of activations, of equal width from 0 to the largest. */
  readonly bins: number;
  /** Length of every list: top tokens, co-activating latents, logits, neighbours. */
  readonly list: number;
  /** Active tokens of a latent, at most, on which co-activation is counted. */
  readonly coactiveTokens: number;
  /** Places drawn at random around which it is silent: what a description of it is tested against … */
  readonly silent: number;
  /** … and on how many tokens before and after the place it is silent, too. */
  readonly silentReach: number;
}

/** What the explorer shows. */
export const defaultSizes: IndexSizes = {
  top: 16,
  quantiles: 5,
  perQuantile: 4,
  before: 31,
  after: 16,
  bins: 40,
  list: 10,
  coactiveTokens: 512,
  silent: 20,
  silentReach: 10,
};

/** A file of the index. */
export interface IndexFile {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A part: the latents [from, to) of a facet. */
export interface IndexPart extends IndexFile {
  readonly from: number;
  readonly to: number;
}

/** `index.json`. */
export interface IndexManifest {
  readonly format: typeof indexFormat;
  readonly key: string;
  readonly lm: { readonly id: string; readonly path: string; readonly hash: string };
  readonly sae: {
    readonly id: string;
    readonly path: string;
    readonly hash: string;
    readonly d_sae: number;
    readonly hook: string;
  };
  readonly corpus: {
    /** Hash of the token windows. */
    readonly key: string;
    readonly windows: number;
    /** All tokens. */
    readonly tokens: number;
    /** Tokens that count: position 0 and special tokens are left out, as the policy says. */
    readonly counted: number;
    readonly files: readonly string[];
  };
  readonly d_vocab: number;
  readonly sizes: IndexSizes;
  readonly builtAt: string;
  readonly files: Readonly<
    Record<"summary" | "vocabulary" | "tokens" | "token-latents", IndexFile>
  >;
  /** By facet; a facet that does not exist for this SAE (logits of a hook that writes nothing) has no parts. */
  readonly parts: Readonly<Record<Facet, readonly IndexPart[]>>;
}

/** Type and width of an array's rows. */
export interface Field {
  readonly dtype: DType;
  readonly width: number;
}

/** Contexts that are kept of a latent. */
export function examplesOf({ top, quantiles, perQuantile }: IndexSizes): number {
  return top + quantiles * perQuantile;
}

/** Marks an example that does not exist: a latent that fired in fewer contexts. */
export const noExample = 255;

/** Marks a place that does not exist: a latent that is silent around too few. */
export const noPlace = 2 ** 32 - 1;

/** The arrays of each facet's parts. Latents and tokens that do not exist are −1. */
export function fieldsOf(sizes: IndexSizes): Readonly<Record<Facet, Record<string, Field>>> {
  const { list, bins } = sizes;
  const examples = examplesOf(sizes);
  const tokens = sizes.before + 1 + sizes.after;
  const lists = (...names: string[]): Record<string, Field> =>
    Object.fromEntries(
      names.flatMap((name) => [
        [name, { dtype: "int32", width: list }],
        [`${name}.value`, { dtype: "float32", width: list }],
      ]),
    );
  return {
    contexts: {
      histogram: { dtype: "uint32", width: bins },
      /** 0: among the strongest; 1 to `quantiles`, weakest first; `noExample`. */
      group: { dtype: "uint8", width: examples },
      /** Place of the strongest token among all tokens of the corpus, and of the first token that is shown. */
      peak: { dtype: "uint32", width: examples },
      start: { dtype: "uint32", width: examples },
      /** Tokens that are shown, and this latent's activation on each; zeros behind the last. */
      length: { dtype: "uint8", width: examples },
      acts: { dtype: "float32", width: examples * tokens },
      /** Tokens by Σ |activation|: how often it fired on them, and the mean |activation| then. */
      ...lists("token"),
      "token.count": { dtype: "uint32", width: list },
      /** Places of silence, as drawn; then `noPlace`. */
      silent: { dtype: "uint32", width: sizes.silent },
    },
    coactive: {
      /** By correlation: the other latent, their correlation, and on how many of `sampled` tokens it was active, too. */
      ...lists("latent"),
      count: { dtype: "uint32", width: list },
      sampled: { dtype: "uint32", width: 1 },
    },
    effects: lists("top", "bottom"),
    decoder: lists("latent"),
    encoder: lists("latent"),
  };
}
