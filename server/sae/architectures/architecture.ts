/**
 * What an SAE architecture answers for itself. Shared code asks these questions and never which architecture it holds.
 */
import type { Value } from "../../graph/graph.ts";
import type { Device } from "../../runtime/device.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { SaeConfig } from "../config.ts";
import type { Parameters } from "../parameter.ts";
import type { SparseActs } from "../sparse-acts.ts";
import type { WeightValues } from "../weight-values.ts";

/** What a piece of graph may use. */
export interface Pieces {
  /** The SAE's input, normalised and less b_dec where the SAE does so. `[tokens, d_in]` */
  readonly x: Value;
  readonly weights: WeightValues;
  readonly config: SaeConfig;
  /** The graph is for a device on which the largest of long rows are looked for in stretches (`server/graph/stretches.ts`). */
  readonly inStretches?: boolean;
}

/** How an architecture gets from x to activations. */
export type Encoding =
  /** Activations of all latents, none negative. `[tokens, d_in] -> [tokens, d_sae]` */
  | { readonly kind: "dense"; acts(pieces: Pieces): Value }
  /** At most k active latents, strongest first; zeros are inactive. Latents are int64, or float32. `[tokens, d_in] -> [tokens, k]` twice */
  | { readonly kind: "selected"; select(pieces: Pieces): { acts: Value; latents: Value } }
  /** Not one graph: the architecture runs its own. */
  | { readonly kind: "own"; open(parts: OpenParts): Promise<Encoder> };

/** What an encoder of its own kind is made of. */
export interface OpenParts {
  readonly label: string;
  readonly device: Device;
  readonly config: SaeConfig;
  readonly parameters: Parameters;
}

/** Something that encodes rows. */
export interface Encoder {
  /** `[tokens, d_in] ->` all active latents of each row */
  encode(x: Tensor<"float32">, signal?: AbortSignal): Promise<SparseActs>;
  release(): Promise<void>;
}

/** Latents that need no other: act = preAct where preAct = preScale·((x·W_enc)·gain + bias) is above the threshold, else 0. */
export interface PerLatent {
  /** 1 where absent. */
  readonly gain?: Float32Array;
  readonly bias: Float32Array;
  /** "measured": the k largest are chosen; a threshold that chooses about as many has to be measured. */
  readonly threshold: Float32Array | "measured";
}

/** One architecture. */
export interface Architecture {
  readonly name: string;
  /** Parameters and their shapes in our orientation. */
  parameters(config: SaeConfig): Readonly<Record<string, readonly number[]>>;
  readonly encoding: Encoding;
  /** Whether x_hat is scaled back as x was; an output of another width or place is not. */
  readonly restoresNorm: boolean;
  /** Whether b_dec is added to the output. */
  addsBDec(config: SaeConfig): boolean;
  /**
   * The encoder as a product, a bias and a threshold for each latent, so that a latent can be taken out and put into another
   * SAE. Absent where a latent's activation depends on others in a way that no threshold stands for.
   */
  perLatent?(vector: (name: string) => Float32Array | undefined): PerLatent;
  /**
   * What reaches the output beside the latents. `raw` is x as it was given; `[tokens, d_in] -> [tokens, d_out]`, added
   * before the normalisation is undone.
   */
  skip?(pieces: Pieces & { readonly raw: Value }): Value;
}
