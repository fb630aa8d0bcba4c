/** Something done to the residual between two blocks of a running model: the one place where steering and ablation happen. */
import type { Tensor } from "../tensor/tensor.ts";
import type { BlockHookKind } from "./hook-points.ts";

/** The new rows that a splice sees. */
export interface SpliceInput {
  /** Position of the first row. */
  readonly from: number;
  /** The residual that the splice changes. `[tokens, d_model]` */
  readonly resid: Tensor<"float32">;
  /** Hook points of the block before, of the same tokens, as `reads` asked for them. */
  readonly inside: ReadonlyMap<BlockHookKind, Tensor<"float32">>;
}

/**
 * A change of the residual between two blocks. It must depend on nothing but the rows that it is given and their positions,
 * so that a token's change is the same whether it comes alone, after a KV cache, or with the whole text.
 */
export interface Splice {
  /** The block whose input changes; the number of layers for what the final norm reads. */
  readonly layer: number;
  /** Hook points of the block before that the change is made from; none in front of block 0. */
  readonly reads: readonly Exclude<BlockHookKind, "resid_pre" | "pattern">[];
  /** What is added to the rows, `[tokens, d_model]`, or undefined for nothing. */
  change(input: SpliceInput, signal?: AbortSignal): Promise<Float32Array | undefined>;
}
