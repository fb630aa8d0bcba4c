import { expect, test } from "vitest";
import { Graph } from "../../server/graph/graph.ts";
import * as op from "../../server/graph/ops/index.ts";
import { print } from "../../server/graph/print.ts";
import { tensor } from "../../server/tensor/tensor.ts";

test("a graph prints as what its outputs need", () => {
  const graph = new Graph("encode");
  const x = graph.input("x", "float32", ["tokens", 8]);
  const W_enc = graph.weight("W_enc", {
    file: "/sae/model.safetensors",
    offset: 100,
    byteLength: 8 * 32 * 2,
    dtype: "float16",
    dims: [8, 32],
  });
  const b_enc = graph.weight("b_enc", tensor("float32", [32], new Float32Array(32)));
  const preActs = op.gemm(x, W_enc, b_enc, { alpha: 2 });
  op.exp(preActs); // Needed by nobody.
  const acts = op.where(op.greater(preActs, 0.5), preActs, 0);
  const { values, indices } = op.topk(acts, 4);
  const [head] = op.split(values, [1, 3], 1);
  graph.output("values", op.reshape(values, [0, 2, -1]));
  graph.output("indices", op.cast(indices, "int32"));
  graph.output("L0", op.reduceSum(op.cast(op.greater(acts, 0), "float32"), [-1]));
  graph.output("head", op.add(op.clip(head!, undefined, 6), op.scalar(graph, 1)));
  expect(print(graph)).toMatchInlineSnapshot(`
    "encode(x: f32[tokens, 8])
      W_enc: f16[8, 32] = weight
      a: f32[8, 32] = cast W_enc {dtype: float32}
      b_enc: f32[32] = weight
      b: f32[tokens, 32] = gemm x a b_enc {transA: false, transB: false, alpha: 2, beta: 1}
      c: bool[tokens, 32] = greater b 0.5
      d: f32[tokens, 32] = where c b 0
      e: f32[tokens, 4], f: i64[tokens, 4] = topk d [4] {k: 4, axis: -1, largest: true, sorted: true}
      g: f32[tokens, 1], h: f32[tokens, 3] = split e {sizes: [1, 3], axis: 1}
      i: f32[tokens, 2, 2] = reshape e {dims: [0, 2, -1]}
      j: i32[tokens, 4] = cast f {dtype: int32}
      k: bool[tokens, 32] = greater d 0
      l: f32[tokens, 32] = cast k {dtype: float32}
      m: f32[tokens] = reduceSum l {axes: [-1], keep: false}
      n: f32[tokens, 1] = clip g {dtype: float32, max: 6}
      o: f32[tokens, 1] = add n 1
      return values = i
      return indices = j
      return L0 = m
      return head = o"
  `);
});
