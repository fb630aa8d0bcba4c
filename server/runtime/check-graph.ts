/**
 * The fixed computation by which a device is judged: one transformer block and an SAE's encoder, with the same
 * pseudo-random weights everywhere. A device must reproduce the CPU's float32 results, row by row.
 */
import { assert } from "../base/errors.ts";
import { Graph, type Value } from "../graph/graph.ts";
import * as op from "../graph/ops/index.ts";
import { sizeOf, type Tensor, tensor } from "../tensor/tensor.ts";

const tokens = 24;
const d_model = 64;
const n_heads = 4;
const d_head = d_model / n_heads;
const d_mlp = 160;
const d_sae = 512;
const k = 16;

/** Largest difference from the CPU, over the RMS of a row, that a device may show. */
const largestCheckError = 1e-4;

/** Names of the check graph's outputs. */
export const checkOutputs: readonly string[] = ["resid_post", "preActs", "topActs", "L0"];

/** What the check graph is fed. */
export function checkFeeds(): Record<string, Tensor> {
  return { resid_pre: pseudoRandom("resid_pre", [tokens, d_model], 1), mask: causalMask() };
}

/** A pre-norm block with causal attention and a gated MLP, then ReLU-TopK encoding of its result. */
export function buildCheckGraph(): Graph {
  const graph = new Graph("device check");
  const matrix = (name: string, rows: number, columns: number) =>
    graph.weight(name, pseudoRandom(name, [rows, columns], 1 / Math.sqrt(rows)));
  const vector = (name: string, size: number, scale: number) =>
    graph.weight(name, pseudoRandom(name, [size], scale));
  const resid_pre = graph.input("resid_pre", "float32", ["tokens", d_model]);
  const mask = graph.input("mask", "float32", ["tokens", "tokens"]);

  const normalised = op.rmsNorm(resid_pre, vector("ln1.w", d_model, 1), 1e-5);
  const [q, key, v] = ["W_Q", "W_K", "W_V"].map((name) =>
    splitHeads(op.matmul(normalised, matrix(name, d_model, d_model))),
  ) as [Value, Value, Value];
  const scores = op.mul(op.matmul(q, op.transpose(key, [0, 2, 1])), 1 / Math.sqrt(d_head));
  const pattern = op.softmax(op.add(scores, mask));
  const z = op.reshape(op.transpose(op.matmul(pattern, v), [1, 0, 2]), [0, d_model]);
  const resid_mid = op.add(resid_pre, op.matmul(z, matrix("W_O", d_model, d_model)));

  const ln2 = op.layerNorm(
    resid_mid,
    vector("ln2.w", d_model, 1),
    vector("ln2.b", d_model, 0.1),
    1e-5,
  );
  const gate = op.silu(op.matmul(ln2, matrix("W_gate", d_model, d_mlp)));
  const hidden = op.mul(
    gate,
    op.gelu(op.gemm(ln2, matrix("W_in", d_model, d_mlp), vector("b_in", d_mlp, 0.1)), "tanh"),
  );
  const resid_post = op.add(resid_mid, op.matmul(hidden, matrix("W_out", d_mlp, d_model)));

  const preActs = op.gemm(resid_post, matrix("W_enc", d_model, d_sae), vector("b_enc", d_sae, 0.1));
  const acts = op.relu(preActs);
  graph.output("resid_post", resid_post);
  graph.output("preActs", preActs);
  graph.output("topActs", op.topk(acts, k).values);
  graph.output("L0", op.reduceSum(op.cast(op.greater(acts, 0), "float32"), [-1], true));
  return graph;
}

/** Compares a device's outputs of the check graph with the CPU's; `refusal` says why they are not good enough. */
export function judgeCheck(
  found: Readonly<Record<string, Tensor>>,
  expected: Readonly<Record<string, Tensor>>,
): { checkError: number; refusal?: string } {
  const errors = checkOutputs.map((name) => largestRowError(found[name]!, expected[name]!));
  const checkError = Math.max(...errors);
  if (checkError <= largestCheckError) return { checkError };
  const figure = `${checkError.toExponential(1)} of a row's RMS`;
  return {
    checkError,
    refusal: `differs from the CPU by ${figure}, allowed is ${largestCheckError}`,
  };
}

/** Largest |found − expected| over the RMS of expected's row, over all rows; infinite for NaN or another shape. */
export function largestRowError(found: Tensor, expected: Tensor): number {
  assert(expected.dtype === "float32", "the check graph returns float32");
  if (found.dims.join() !== expected.dims.join()) return Infinity;
  const width = expected.dims.at(-1)!;
  const [a, b] = [found.data as Float32Array, expected.data as Float32Array];
  let largest = 0;
  for (let row = 0; row < b.length; row += width) {
    let squares = 0;
    let difference = 0;
    for (let i = row; i < row + width; i++) {
      squares += b[i]! ** 2;
      const distance = Math.abs(a[i]! - b[i]!);
      if (Number.isNaN(distance)) return Infinity;
      difference = Math.max(difference, distance);
    }
    largest = Math.max(largest, difference / Math.max(Math.sqrt(squares / width), 1e-12));
  }
  return largest;
}

const speedSteps = 8;
const speedWidth = 1024;

/** About 2 GFLOP of matrix products, [128, 1024] × [1024, 1024] eight times: tells a real GPU from a software one. */
export function buildSpeedGraph(): Graph {
  const graph = new Graph("device speed");
  const W = graph.weight(
    "W",
    pseudoRandom("W", [speedWidth, speedWidth], 1 / Math.sqrt(speedWidth)),
  );
  let x = graph.input("x", "float32", ["tokens", speedWidth]);
  for (let i = 0; i < speedSteps; i++) x = op.matmul(x, W);
  graph.output("y", op.reduceMean(x, [-1]));
  return graph;
}

/** What the speed graph is fed. */
export function speedFeeds(): Record<string, Tensor> {
  return { x: pseudoRandom("x", [128, speedWidth], 1) };
}

/** [tokens, d_model] -> [n_heads, tokens, d_head] */
function splitHeads(x: Value): Value {
  return op.transpose(op.reshape(x, [0, n_heads, d_head]), [1, 0, 2]);
}

/** 0 where a token may look, −1e9 ahead of it. */
function causalMask(): Tensor {
  const data = new Float32Array(tokens * tokens);
  for (let i = 0; i < tokens; i++) data.fill(-1e9, i * tokens + i + 1, (i + 1) * tokens);
  return tensor("float32", [tokens, tokens], data);
}

/** Numbers in (−scale·√3, scale·√3), the same for a name everywhere: a linear congruential sequence. */
function pseudoRandom(name: string, dims: readonly number[], scale: number): Tensor {
  let state = 0;
  for (const letter of name) state = (Math.imul(state, 31) + letter.charCodeAt(0)) >>> 0;
  const data = new Float32Array(sizeOf(dims));
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = (state / 2 ** 31 - 1) * scale * Math.sqrt(3);
  }
  return tensor("float32", dims, data);
}
