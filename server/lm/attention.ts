/** Causal attention over cached and new tokens, with grouped keys and values, rotary positions and soft cap. */
import type { Value } from "../graph/graph.ts";
import {
  add,
  concat,
  div,
  keptAbove,
  matmul,
  mul,
  reduceMax,
  reshape,
  rotary,
  softmax,
  sub,
  tanh,
  transpose,
} from "../graph/ops/index.ts";
import type { BlockBuilder } from "./block-builder.ts";
import type { LayerConfig } from "./config.ts";

/** Queries `[tokens, n_heads, d_head]`, keys and values `[tokens, n_kv_heads, d_head]` of the new tokens. */
export interface Heads {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
}

/** What attention computes: the new rows of the cache, the weights and their sums of values. */
export interface AttentionValues {
  /** `[tokens, n_kv_heads, d_head]`, keys after rotation. */
  readonly k: Value;
  readonly v: Value;
  /** `[n_heads, tokens, past+tokens]` */
  readonly pattern: Value;
  /** `[tokens, n_heads, d_head]` */
  readonly z: Value;
}

/** Separate linear layers for queries, keys and values. */
export interface ProjectionFacts {
  /** Name of the attention module, below which stand q_proj, k_proj, v_proj. */
  readonly name: string;
  readonly bias: boolean;
}

/** Queries, keys and values as flat rows `[tokens, n_heads * d_head]`, by three linear layers. */
export function projectFlat(b: BlockBuilder, x: Value, { name, bias }: ProjectionFacts): Heads {
  const { d_model, n_heads, n_kv_heads, d_head } = b.config;
  const project = (part: string, heads: number): Value =>
    b.linear(x, { name: `${name}.${part}`, d_in: d_model, d_out: heads * d_head, bias });
  return {
    q: project("q_proj", n_heads),
    k: project("k_proj", n_kv_heads),
    v: project("v_proj", n_kv_heads),
  };
}

/** Flat rows split into heads. `[tokens, n * d_head] -> [tokens, n, d_head]` */
export function splitHeads(b: BlockBuilder, { q, k, v }: Heads): Heads {
  const { n_heads, n_kv_heads, d_head } = b.config;
  return {
    q: reshape(q, ["tokens", n_heads, d_head]),
    k: reshape(k, ["tokens", n_kv_heads, d_head]),
    v: reshape(v, ["tokens", n_kv_heads, d_head]),
  };
}

/**
 * softmax(q · k · scale + mask) · v with the past from the block's inputs. Scores of the heads that share keys are one
 * matrix product, so keys and values are never expanded.
 */
export function attend(b: BlockBuilder, heads: Heads, layer: LayerConfig): AttentionValues {
  const { n_heads, n_kv_heads, d_head, attentionSoftcap } = b.config;
  const past = ["past", n_kv_heads, d_head];
  const pastK = b.input("past_k", past);
  const pastV = b.input("past_v", past);
  const mask = b.input("mask", ["tokens", "past+tokens"]);
  const { q, k } = rotated(b, heads, layer);
  const { v } = heads;
  const queries = reshape(transpose(mul(q, layer.attentionScale), [1, 0, 2]), [
    n_kv_heads,
    -1,
    d_head,
  ]);
  const keys = transpose(concat([pastK, k], 0), [1, 2, 0]);
  const values = transpose(concat([pastV, v], 0), [1, 0, 2]);
  const grouped = matmul(queries, keys);
  const scores = reshape(grouped, [n_heads, -1, "past+tokens"]);
  const capped =
    attentionSoftcap === undefined
      ? scores
      : mul(tanh(div(scores, attentionSoftcap)), attentionSoftcap);
  const pattern = softmaxAboveDenormals(add(capped, mask));
  const summed = matmul(reshape(pattern, [n_kv_heads, -1, "past+tokens"]), values);
  const z = transpose(reshape(summed, [n_heads, -1, d_head]), [1, 0, 2]);
  return { k, v, pattern, z };
}

/**
 * Softmax over the last axis whose results never fall below e^−60 of the largest. Masked scores would otherwise become
 * denormal numbers, which a CPU adds up slowly: on [9, 128, 128] 0.60 cpu-ms, so 0.30. The room above 1e-38 keeps their products
 * with gradients normal too. A masked weight of 1e-26 is nothing to a sum in f32; readers of the pattern get 0 (`Stream`).
 */
function softmaxAboveDenormals(scores: Value): Value {
  return softmax(keptAbove(scores, sub(reduceMax(scores, [-1], true), 60)), -1);
}

/** Attention's raw output: z · W_O. `[tokens, n_heads, d_head] -> [tokens, d_model]` */
export function flattenHeads(b: BlockBuilder, z: Value): Value {
  return reshape(z, ["tokens", b.config.n_heads * b.config.d_head]);
}

/** Queries and keys turned by position, where the layer has rotary positions. */
function rotated(b: BlockBuilder, { q, k }: Heads, layer: LayerConfig): { q: Value; k: Value } {
  if (layer.rotary === undefined) return { q, k };
  const { dims } = layer.rotary;
  const cos = b.input("cos", ["tokens", dims / 2]);
  const sin = b.input("sin", ["tokens", dims / 2]);
  return { q: rotary(q, cos, sin), k: rotary(k, cos, sin) };
}
