/** Continuing a token sequence, greedily or by sampling. */
import { SeededRandom } from "../base/seeded-random.ts";
import { emptyPrompt } from "./errors.ts";
import type { LanguageModel } from "./language-model.ts";
import { Stream } from "./stream.ts";

/** What to continue and how. */
export interface GenerateOptions {
  readonly ids: Int32Array;
  readonly maxNewTokens: number;
  /** Without it, or with 0, the most likely token is taken every time. */
  readonly temperature?: number;
  /** The same seed gives the same tokens. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** Hears of every new token; the next one waits for it. */
  readonly onToken?: (id: number) => unknown;
  /** A stream to go on with; it then holds the whole sequence. */
  readonly stream?: Stream;
}

/** The new ids; the last is an end-of-sequence id if the model ended by itself. */
export async function generate(lm: LanguageModel, options: GenerateOptions): Promise<Int32Array> {
  const { ids, maxNewTokens, temperature = 0, seed = 0, signal, onToken } = options;
  if (ids.length === 0) throw emptyPrompt();
  const stream = options.stream ?? new Stream(lm);
  const random = new SeededRandom(seed);
  const sequence = [...ids];
  const limit = Math.min(sequence.length + maxNewTokens, lm.config.n_ctx);
  try {
    while (sequence.length < limit) {
      stream.setIds(Int32Array.from(sequence));
      const { data } = await stream.logits([sequence.length - 1], signal);
      const id = temperature > 0 ? sample(data, temperature, random.uniform()) : argmax(data);
      sequence.push(id);
      await onToken?.(id);
      if (lm.eosIds.includes(id)) break;
    }
  } finally {
    if (options.stream === undefined) stream.dispose();
  }
  return Int32Array.from(sequence.slice(ids.length));
}

function argmax(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return best;
}

/** The token at which the cumulative softmax(logits / temperature) passes `uniform`. */
function sample(logits: Float32Array, temperature: number, uniform: number): number {
  const top = logits[argmax(logits)]!;
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - top) / temperature));
  let rest = uniform * weights.reduce((sum, weight) => sum + weight, 0);
  for (let id = 0; id < weights.length; id++) {
    rest -= weights[id]!;
    if (rest < 0) return id;
  }
  return argmax(logits);
}
