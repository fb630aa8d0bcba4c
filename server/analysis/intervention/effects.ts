/** What an intervention does to a model: to the distributions over next tokens, to the loss of the text, and to what the model writes. */
import { generate } from "../../lm/generate.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import type { Splice } from "../../lm/splice.ts";
import { type Predictions, Stream } from "../../lm/stream.ts";

/** Positions whose logits are held at once. */
const positionsAtOnce = 32;

/** What is compared, and how far the model writes on. */
export interface EffectOptions {
  readonly ids: Int32Array;
  readonly splice: Splice;
  /** 0 to write nothing. */
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly seed: number;
  /** Most likely next tokens to tell of. */
  readonly k: number;
  readonly signal?: AbortSignal;
  /** Called before every step, which waits for it. */
  readonly onStep?: (text: string, fraction: number) => void | Promise<void>;
}

/** One model's side of the comparison. */
export interface Side {
  readonly predictions: Predictions;
  /** Ids that the model writes after the text. */
  readonly continuation: Int32Array;
}

/** Both sides, and how far they are apart. */
export interface Effects {
  readonly original: Side;
  readonly changed: Side;
  /** KL(original ‖ changed) of the next token at each position. `[tokens]` */
  readonly divergence: Float64Array;
}

/** Runs a text with and without a splice; the splice works on every token that is written, too. */
export async function effectsOf(lm: LanguageModel, options: EffectOptions): Promise<Effects> {
  const { ids, splice, k, signal, onStep } = options;
  const plain = new Stream(lm);
  const spliced = new Stream(lm, splice);
  try {
    for (const stream of [plain, spliced]) stream.setIds(ids);
    await onStep?.("reading the text", 0);
    const before = await plain.predictions(k, signal);
    const after = await spliced.predictions(k, signal);
    await onStep?.("comparing next tokens", 0.2);
    const divergence = await divergences(plain, spliced, { ids, signal });
    const write = async (stream: Stream, name: string, start: number): Promise<Int32Array> => {
      if (options.maxNewTokens === 0) return new Int32Array(0);
      let written = 0;
      return generate(lm, {
        ...options,
        stream,
        onToken: async () => {
          written++;
          await onStep?.(name, start + (0.35 * written) / options.maxNewTokens);
        },
      });
    };
    return {
      divergence,
      original: { predictions: before, continuation: await write(plain, "writing", 0.3) },
      changed: { predictions: after, continuation: await write(spliced, "writing steered", 0.65) },
    };
  } finally {
    plain.dispose();
    spliced.dispose();
  }
}

/** KL(p of one stream ‖ p of the other) of every position. */
async function divergences(
  one: Stream,
  other: Stream,
  { ids, signal }: { ids: Int32Array; signal: AbortSignal | undefined },
): Promise<Float64Array> {
  const result = new Float64Array(ids.length);
  for (let from = 0; from < ids.length; from += positionsAtOnce) {
    const to = Math.min(ids.length, from + positionsAtOnce);
    const positions = Array.from({ length: to - from }, (_, i) => from + i);
    const p = await one.logits(positions, signal);
    const q = await other.logits(positions, signal);
    const width = p.data.length / positions.length;
    positions.forEach((position, row) => {
      const part = [row * width, (row + 1) * width] as const;
      result[position] = divergence(p.data.subarray(...part), q.data.subarray(...part));
    });
  }
  return result;
}

/** KL(softmax p ‖ softmax q) of logits. `[d_vocab], [d_vocab]` */
export function divergence(p: Float32Array, q: Float32Array): number {
  const lseP = logSumExp(p);
  const lseQ = logSumExp(q);
  let sum = 0;
  for (let i = 0; i < p.length; i++) {
    const logP = p[i]! - lseP;
    sum += Math.exp(logP) * (logP - (q[i]! - lseQ));
  }
  // Rounding can leave equal distributions a little below 0.
  return Math.max(0, sum);
}

function logSumExp(x: Float32Array): number {
  let largest = -Infinity;
  for (let i = 0; i < x.length; i++) if (x[i]! > largest) largest = x[i]!;
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += Math.exp(x[i]! - largest);
  return largest + Math.log(sum);
}
