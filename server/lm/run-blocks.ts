/** A stretch of blocks on a residual that is given: what follows a place in which the residual was changed. */
import type { Tensor } from "../tensor/tensor.ts";
import type { BlockOutput } from "./blocks.ts";
import type { LanguageModel } from "./language-model.ts";
import { PositionInputs } from "./position-inputs.ts";
import { type Floats, floatsOf } from "./precision.ts";

/** Which blocks are run, and what is read on the way. */
export interface BlockRange {
  /** Blocks [from, to). */
  readonly from: number;
  readonly to: number;
  /** Outputs that are wanted, by block. */
  readonly read?: ReadonlyMap<number, readonly BlockOutput[]>;
  /** Reused by windows of one length; made anew where it is left out. */
  readonly positions?: PositionInputs;
  readonly signal?: AbortSignal | undefined;
}

/** What a stretch of blocks gave. */
export interface BlocksRead {
  /** What leaves the last block, or what was given where there is no block. `[tokens, d_model]` */
  readonly resid: Floats;
  /** Rows of all positions, by block and output. */
  readonly outputs: ReadonlyMap<number, ReadonlyMap<BlockOutput, Floats>>;
}

/** Runs blocks [from, to) on all positions of one sequence. `resid` is what enters block `from`, `[tokens, d_model]`. */
export async function runBlocks(
  lm: LanguageModel,
  resid: Floats,
  { from, to, read, positions = new PositionInputs(lm.rotary), signal }: BlockRange,
): Promise<BlocksRead> {
  let at = resid;
  const outputs = new Map<number, ReadonlyMap<BlockOutput, Floats>>();
  for (let layer = from; layer < to; layer++) {
    const wanted = new Set<BlockOutput>(["resid_post", ...(read?.get(layer) ?? [])]);
    const out = await runBlock(lm, at, { layer, wanted, positions, signal });
    if (read?.has(layer)) outputs.set(layer, out);
    at = out.get("resid_post")!;
  }
  return { resid: at, outputs };
}

interface OneBlock {
  readonly layer: number;
  readonly wanted: ReadonlySet<BlockOutput>;
  readonly positions: PositionInputs;
  readonly signal: AbortSignal | undefined;
}

/** One block on a whole sequence, in runs of a good size; keys and values of earlier runs are handed to later ones. */
async function runBlock(
  lm: LanguageModel,
  resid: Floats,
  { layer, wanted, positions, signal }: OneBlock,
): Promise<Map<BlockOutput, Floats>> {
  const { d_model } = lm.config;
  const n = resid.length / d_model;
  const step = lm.rowsPerRun(n);
  const inOneRun = n <= step;
  const asked = [...new Set<BlockOutput>(inOneRun ? wanted : [...wanted, "k", "v"])];
  const empty = new floatsOf[lm.precision](0);
  const parts = new Map<BlockOutput, Floats[]>(asked.map((output) => [output, []]));
  for (let from = 0; from < n; from += step) {
    const to = Math.min(n, from + step);
    const input = {
      resid: resid.subarray(from * d_model, to * d_model),
      from,
      to,
      pastK: from === 0 ? empty : joined(parts.get("k")!),
      pastV: from === 0 ? empty : joined(parts.get("v")!),
    };
    const out: ReadonlyMap<BlockOutput, Tensor> = await lm.runBlock(layer, input, {
      outputs: asked,
      positions,
      signal,
    });
    for (const output of asked) parts.get(output)!.push(out.get(output)!.data as Floats);
  }
  return new Map([...wanted].map((output) => [output, joined(parts.get(output)!)]));
}

function joined(parts: readonly Floats[]): Floats {
  const [first] = parts;
  if (first !== undefined && parts.length === 1) return first;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const all = first instanceof Float64Array ? new Float64Array(length) : new Float32Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
