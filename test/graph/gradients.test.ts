import { describe, expect, test } from "vitest";
import { backward, gradients } from "../../server/graph/gradients.ts";
import { Graph } from "../../server/graph/graph.ts";
import { applyOne, defineOp } from "../../server/graph/op.ts";
import * as op from "../../server/graph/ops/index.ts";
import { print } from "../../server/graph/print.ts";
import { randomTensor, runOp } from "./check-op.ts";
import { checkedCases, checkGradient, goldens } from "./check-gradient.ts";

const kinks = { noDifferences: "no slope here" } as const;
const noKernel = { noDifferences: "no f64 kernel" } as const;
const rows = { symbolic: [["tokens", 3]] } as const;

describe("element by element", () => {
  checkGradient("add", op.add, { symbolic: [["tokens", 3], [3]] });
  checkGradient("add, itself", (x) => op.add(x, x), rows);
  checkGradient("sub", op.sub, {
    symbolic: [
      ["batch", 1, 3],
      ["tokens", 1],
    ],
  });
  checkGradient("mul", op.mul, {
    symbolic: [
      ["tokens", 3],
      ["tokens", 1],
    ],
  });
  checkGradient("mul, itself", (x) => op.mul(x, x), rows);
  checkGradient("mul, scalar tensor", op.mul);
  checkGradient("div", op.div, { symbolic: [["tokens", 3], [3]] });
  checkGradient("pow", op.pow);
  checkGradient("pow, square", (x) => op.pow(x, 2), rows);
  checkGradient("pow, of zero", op.pow, kinks);
  checkGradient("maximum", op.maximum, { symbolic: [["tokens", 3], [3]] });
  checkGradient("maximum, equal", op.maximum, kinks);
  checkGradient("minimum", op.minimum);
  checkGradient("minimum, equal", op.minimum, kinks);
  checkGradient("keptAbove", (x) => op.keptAbove(x, op.scalar(x.graph, -60, x.dtype)), kinks);
  checkGradient("neg", op.neg, rows);
  checkGradient("sqrt", op.sqrt, rows);
  checkGradient("exp", op.exp, rows);
  checkGradient("log", op.log, rows);
  checkGradient("tanh", op.tanh, rows);
  checkGradient("sigmoid", op.sigmoid, rows);
  checkGradient("erf", op.erf, noKernel);
  checkGradient("relu", op.relu, rows);
  checkGradient("relu, at zero", op.relu, kinks);
  checkGradient("reciprocal", op.reciprocal, rows);
  checkGradient("abs", op.abs, rows);
  checkGradient("abs, at zero", op.abs, kinks);
  checkGradient("identity", op.identity, rows);
  checkGradient("stopGradient", (x) => op.mul(op.stopGradient(x), x), kinks);
  checkGradient("cast", (x) => op.cast(op.cast(x, "float64"), x.dtype));
  checkGradient("clip", (x) => op.clip(x, -0.5, 0.75));
  checkGradient("clip, at the bounds", (x) => op.clip(x, -0.5, 0.75), kinks);
  checkGradient("clip, from above", (x) => op.clip(x, undefined, 0.25));
  checkGradient("where", (c, a, b) => op.where(op.greater(c, 0), a, b));
  checkGradient("gelu", (x) => op.gelu(x), noKernel);
  checkGradient("gelu, tanh", (x) => op.gelu(x, "tanh"));
  checkGradient("silu", op.silu);
});

describe("matrix products", () => {
  checkGradient("matmul", op.matmul, {
    symbolic: [
      ["tokens", 3],
      [3, 4],
    ],
  });
  checkGradient("matmul, batched", op.matmul, {
    symbolic: [
      [2, "tokens", 3],
      [2, 3, "past+tokens"],
    ],
  });
  checkGradient("matmul, one matrix for a batch", op.matmul, {
    symbolic: [
      ["batch", "tokens", 3],
      [3, 4],
    ],
  });
  checkGradient("matmul, a batch for one matrix", op.matmul);
  checkGradient("matmul, stretched batches", op.matmul);
  checkGradient("matmul, vector right", op.matmul);
  checkGradient("matmul, vector left", op.matmul);
  checkGradient("matmul, vectors", op.matmul);
  checkGradient("gemm", (a, b) => op.gemm(a, b), {
    symbolic: [
      ["tokens", 3],
      [3, 4],
    ],
  });
  checkGradient("gemm, b transposed", (a, b, c) =>
    op.gemm(a, b, c, { transB: true, alpha: 0.5, beta: -2 }),
  );
  checkGradient("gemm, a transposed", (a, b, c) => op.gemm(a, b, c, { transA: true, alpha: 0.5 }));
  checkGradient("gemm, both transposed", (a, b) =>
    op.gemm(a, b, undefined, { transA: true, transB: true, alpha: 3 }),
  );
});

describe("moving elements", () => {
  checkGradient("transpose", (x) => op.transpose(x, [2, 0, 1]), { symbolic: [["a", "b", 4]] });
  checkGradient("reshape", (x) => op.reshape(x, [0, 3, -1]), { symbolic: [["tokens", 6]] });
  checkGradient("reshape, two names moved", (x) => op.reshape(x, [-1, 2]), {
    symbolic: [["batch", "tokens", 2]],
  });
  checkGradient("reshapeLike", op.reshapeLike, {
    symbolic: [
      ["batch*tokens", 2],
      ["batch", "tokens", 2],
    ],
  });
  checkGradient("concat", (...parts) => op.concat(parts, -1));
  checkGradient("concat, rows", (...parts) => op.concat(parts, 0), {
    symbolic: [
      ["past", 3],
      ["tokens", 3],
    ],
  });
  checkGradient("split", (x) => op.split(x, [2, 3, 1], -1), { symbolic: [["tokens", 6]] });
  checkGradient("split, one part used", (x) => op.split(x, [2, 3, 1], 1)[1]!);
  checkGradient(
    "splitLike",
    (x, a, b) => op.mul(op.splitLike(x, [a, b], 0)[1]!, b),
    { symbolic: [["past+tokens", 2], ["past", 2], ["tokens", 2]] }, // prettier-ignore
  );
  checkGradient("slice", (x) => op.slice(x, { axis: 1, from: 1, to: 4 }));
  checkGradient("slice, from the end", (x) => op.slice(x, { axis: 0, from: -2 }), {
    symbolic: [["tokens", 2]],
  });
  checkGradient("slice, up to the end", (x) => op.slice(x, { axis: 0, from: 1, to: -1 }), {
    symbolic: [["tokens", 2]],
  });
  checkGradient("slice, the first", (x) => op.slice(x, { axis: 0, to: 2 }), {
    symbolic: [["tokens", 2]],
  });
  checkGradient("sliceAt", (x, from, to) => op.sliceAt(x, 0, { from, to }, 3));
  checkGradient("padTo", (x) => op.padTo(x, 0, { before: 2, after: 1 }, 6));
  checkGradient("expand", (x) => op.expand(x, [3, 2, 4]));
  checkGradient("expandLike", op.expandLike, {
    symbolic: [
      [1, 3],
      ["tokens", 3],
    ],
  });
  checkGradient("unsqueeze", (x) => op.unsqueeze(x, [0, -1]), rows);
  checkGradient("squeeze", (x) => op.squeeze(x, [1, -1]), { symbolic: [["tokens", 1, 3, 1]] });
});

describe("summaries", () => {
  const cube = { symbolic: [["batch", "tokens", 4]] };
  checkGradient("reduceSum", (x) => op.reduceSum(x, [0, -1]), cube);
  checkGradient("reduceSum, axis kept", (x) => op.reduceSum(x, [-1], true), rows);
  checkGradient("reduceSum, of squares", (x) => op.reduceSum(op.mul(x, x), [0, 1]), rows);
  checkGradient("reduceSum, of a stretched sum", (a, b) => op.reduceSum(op.add(a, b), [0, 1]), {
    symbolic: [["tokens", 3], [3]],
  });
  checkGradient("reduceMean", (x) => op.reduceMean(x, [0, 1]), cube);
  checkGradient("reduceMean, axis kept", (x) => op.reduceMean(x, [-1], true), rows);
  checkGradient("reduceMax", (x) => op.reduceMax(x, [1]), { symbolic: [["tokens", 5]] });
  checkGradient("reduceMax, equal", (x) => op.reduceMax(x, [1], true), kinks);
  checkGradient("softmax", (x) => op.softmax(x), { symbolic: [["tokens", 5]] });
  checkGradient("softmax, first axis", (x) => op.softmax(x, 0), { symbolic: [["tokens", 5]] });
  checkGradient("softmax, masked", (x, mask) => op.softmax(op.add(x, mask)));
  checkGradient("logsumexp", (x) => op.logsumexp(x), { symbolic: [["tokens", 5]] });
  checkGradient("logSoftmax", (x) => op.logSoftmax(x), { symbolic: [["tokens", 5]] });
  checkGradient("cumsum", (x) => op.cumsum(x, 1));
  checkGradient("cumsum, exclusive and reverse", (x) =>
    op.cumsum(x, 1, { exclusive: true, reverse: true }),
  );
  checkGradient("topk", (x) => op.topk(x, 2).values, { symbolic: [["tokens", 6]] });
  checkGradient(
    "topk, smallest of the first axis",
    (x) => op.topk(x, 2, { axis: 0, largest: false }).values,
  );
  const width = [8];
  const normed = { symbolic: [["tokens", 8], width, width] };
  checkGradient("layerNorm", (x, w, b) => op.layerNorm(x, w, b, 1e-5), normed);
  checkGradient("layerNorm, no bias", (x, w) => op.layerNorm(x, w, undefined, 1e-5));
  checkGradient("layerNorm, small input", (x, w, b) => op.layerNorm(x, w, b, 1e-5), normed);
  checkGradient("rmsNorm", (x, w) => op.rmsNorm(x, w, 1e-5));
  checkGradient("rmsNorm, small input", (x, w) => op.rmsNorm(x, w, 1e-5), normed);
});

describe("rotary positions", () => {
  const table = ["tokens", 4];
  checkGradient("rotary", op.rotary, { symbolic: [["tokens", 3, 8], table, table] });
  checkGradient("rotary, part of a head", op.rotary, {
    symbolic: [["tokens", 2, 16], table, table],
  });
});

describe("by index", () => {
  checkGradient("gather", (x, n) => op.gather(x, n), { symbolic: [["d_vocab", 3], ["tokens"]] });
  checkGradient("gather, table of indices", (x, n) => op.gather(x, n), {
    symbolic: [
      [4, 3],
      ["tokens", "k"],
    ],
  });
  checkGradient("gather, one index", (x, n) => op.gather(x, n));
  checkGradient("gather, last axis", (x, n) => op.gather(x, n, -1), rows);
  checkGradient("gatherElements", (x, n) => op.gatherElements(x, n, 1));
  checkGradient("scatterElements", (x, n, u) => op.scatterElements(x, n, u, { axis: 1 }));
  checkGradient("scatterElements, added", (x, n, u) =>
    op.scatterElements(x, n, u, { axis: 1, reduction: "add" }),
  );
});

describe("gradient graphs", () => {
  test("a gradient graph prints as what its outputs need, with symbolic lengths", () => {
    const graph = new Graph("loss");
    const x = graph.input("x", "float32", ["batch", 4]);
    const W_enc = graph.input("W_enc", "float32", [4, 8]);
    const b_enc = graph.input("b_enc", "float32", [8]);
    const W_dec = graph.input("W_dec", "float32", [8, 4]);
    const acts = op.relu(op.gemm(x, W_enc, b_enc));
    const error = op.sub(op.matmul(acts, W_dec), x);
    const mse = op.reduceMean(op.reduceSum(op.mul(error, error), [1]), [0]);
    const L1 = op.reduceMean(op.reduceSum(acts, [1]), [0]);
    const loss = op.add(mse, op.mul(L1, 0.1));
    graph.output("loss", loss);
    const [dW_enc, db_enc] = gradients(loss, [W_enc, b_enc]);
    graph.output("dW_enc", dW_enc!);
    graph.output("db_enc", db_enc!);
    expect(print(graph)).toMatchInlineSnapshot(`
      "loss(x: f32[batch, 4], W_enc: f32[4, 8], b_enc: f32[8], W_dec: f32[8, 4])
        a: f32[batch, 8] = gemm x W_enc b_enc {transA: false, transB: false, alpha: 1, beta: 1}
        b: f32[batch, 8] = relu a
        c: f32[batch, 4] = matmul b W_dec
        d: f32[batch, 4] = sub c x
        e: f32[batch, 4] = mul d d
        f: f32[batch] = reduceSum e {axes: [1], keep: false}
        g: f32[] = reduceMean f {axes: [0], keep: false}
        h: f32[batch] = reduceSum b {axes: [1], keep: false}
        i: f32[] = reduceMean h {axes: [0], keep: false}
        j: f32[] = mul i 0.10000000149011612
        k: f32[] = add g j
        l: f32[] = mul 1 0.10000000149011612
        m: f32[1] = unsqueeze l {axes: [0]}
        n: i64[1] = dimOf h {axis: 0}
        o: f32[1] = cast n {dtype: float32}
        p: f32[1] = div m o
        q: i64[1] = shapeOf h
        r: f32[batch] = expandLike p q {dims: [batch]}
        s: f32[batch, 1] = unsqueeze r {axes: [1]}
        t: f32[1] = unsqueeze 1 {axes: [0]}
        u: i64[1] = dimOf f {axis: 0}
        v: f32[1] = cast u {dtype: float32}
        w: f32[1] = div t v
        x: i64[1] = shapeOf f
        y: f32[batch] = expandLike w x {dims: [batch]}
        z: f32[batch, 1] = unsqueeze y {axes: [1]}
        aa: f32[batch, 1] = mul z 2
        ab: f32[batch, 4] = mul aa d
        ac: f32[batch, 8] = gemm ab W_dec {transA: false, transB: true, alpha: 1, beta: 1}
        ad: f32[batch, 8] = add s ac
        ae: bool[batch, 8] = greater a 0
        af: f32[batch, 8] = where ae ad 0
        ag: f32[4, 8] = gemm x af {transA: true, transB: false, alpha: 1, beta: 1}
        ah: f32[8] = reduceSum af {axes: [0], keep: false}
        return loss = k
        return dW_enc = ag
        return db_enc = ah"
    `);
  });

  test("values of wrt may depend on each other, and a value in between has its own gradient", () => {
    const graph = new Graph("chain");
    const x = graph.input("x", "float32", ["tokens", 2]);
    const middle = op.exp(x);
    const y = op.mul(middle, 3);
    const dy = graph.input("dy", "float32", ["tokens", 2]);
    backward([{ value: y, dy }], [x, middle, y]).forEach((dx, i) => graph.output(`d${i}`, dx));
    expect(print(graph)).toMatchInlineSnapshot(`
      "chain(x: f32[tokens, 2], dy: f32[tokens, 2])
        a: f32[tokens, 2] = exp x
        b: f32[tokens, 2] = mul dy 3
        c: f32[tokens, 2] = mul b a
        return d0 = c
        return d1 = b
        return d2 = dy"
    `);
  });

  test("what a number does not depend on has a gradient of zeros", () => {
    const graph = new Graph("unused");
    const x = graph.input("x", "float32", ["tokens", 2]);
    const other = graph.input("other", "float32", ["past", 3]);
    graph.output("d", gradients(op.reduceSum(x, [0, 1]), [other])[0]!);
    expect(print(graph)).toMatchInlineSnapshot(`
      "unused(x: f32[tokens, 2], other: f32[past, 3])
        a: i64[2] = shapeOf other
        b: f32[past, 3] = expandLike 0 a {dims: [past, 3]}
        return d = b"
    `);
  });

  test("gradients of gradients", async () => {
    // d/dx Σ (d/dx Σ x³)² = d/dx Σ 9x⁴ = 36x³
    const x = randomTensor([5]);
    const { outputs } = await runOp([x], (v) => {
      const [slope] = gradients(op.reduceSum(op.mul(op.mul(v, v), v), [0]), [v]);
      return gradients(op.reduceSum(op.mul(slope!, slope!), [0]), [v])[0]!;
    });
    const found = Array.from(outputs[0]!.data as Float32Array);
    found.forEach((value, i) => expect(value).toBeCloseTo(36 * x.data[i]! ** 3, 3));
  });

  test("an op without a rule is named", () => {
    const graph = new Graph("steps");
    const x = graph.input("x", "float32", [2]);
    const floorOp = defineOp({ name: "floor", onnx: "Floor", shape: ([v]) => [v!] });
    const y = op.reduceSum(applyOne(floorOp, [op.exp(x)], {}), [0]);
    expect(() => gradients(y, [x])).toThrow(
      "floor has no gradient rule, needed for %floor2 in steps",
    );
    // No rule is needed where nothing flows.
    expect(
      gradients(op.reduceSum(applyOne(floorOp, [x], {}), [0]), [graph.input("z", "float32", [1])]),
    ).toHaveLength(1);
  });

  test("gradients of more than one number, and with regard to indices, are refused", () => {
    const graph = new Graph("rows");
    const x = graph.input("x", "float32", ["tokens", 2]);
    const ids = graph.input("ids", "int64", ["tokens"]);
    expect(() => gradients(x, [x])).toThrow(
      "gradients of x in rows: it is f32[tokens, 2], not one number",
    );
    expect(() => gradients(op.reduceSum(x, [0, 1]), [ids])).toThrow(
      "gradient with regard to ids: it is i64[tokens]",
    );
  });
});

describe("coverage", () => {
  /** What nothing flows through: bools, indices, sizes, constants. */
  const noGradient = new Set(
    "greater greaterOrEqual equal and or not argmax dimOf constant scalar zerosLike".split(" "),
  );
  test("every golden case is checked", () => {
    const names = new Set([...goldens.keys()].map((key) => key.split("/")[0]!));
    expect([...names].filter((name) => !checkedCases.has(name))).toEqual([]);
  });
  test("every op is checked, or nothing flows through it", () => {
    const checked = new Set([...checkedCases].map((name) => name.split(",")[0]!));
    const missing = Object.keys(op).filter((name) => !checked.has(name) && !noGradient.has(name));
    expect(missing).toEqual([]);
  });
});
