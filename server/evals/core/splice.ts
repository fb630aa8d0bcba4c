/** Where a hook point lies in the chain of blocks, and how its activation is replaced there. */
import type { BlockOutput } from "../../lm/blocks.ts";
import type { HookPoint } from "../../lm/hook-points.ts";

/** A hook point as a block's output; `output` is undefined for what enters block 0. */
export interface HookPlace {
  /** The block that gives it; −1 for what enters block 0. */
  readonly layer: number;
  readonly output: BlockOutput | undefined;
}

/** The place of a hook point; undefined for the final norm, logits and patterns, which are no rows of a block. */
export function placeOf(hook: HookPoint): HookPlace | undefined {
  if (hook.kind === "embed") return { layer: -1, output: undefined };
  if (!("layer" in hook) || hook.kind === "pattern") return undefined;
  if (hook.kind !== "resid_pre") return { layer: hook.layer, output: hook.kind };
  return hook.layer === 0
    ? { layer: -1, output: undefined }
    : { layer: hook.layer - 1, output: "resid_post" };
}

/**
 * How the residual that leaves the place's block changes with the hook point's activation: it is the activation, or a sum
 * in which the activation is the last part. Undefined where something between them reads the activation.
 */
export function spliceOf({ output }: HookPlace): "replace" | "add" | undefined {
  if (output === undefined || output === "resid_post") return "replace";
  return output === "mlp_out" ? "add" : undefined;
}
