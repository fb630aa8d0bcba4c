import { describe, test } from "vitest";
import type { Value } from "../../server/graph/graph.ts";
import * as op from "../../server/graph/ops/index.ts";
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";
import { checkOp } from "./check-op.ts";

const numbers = (x: Tensor): number[] => Array.from(x.data as ArrayLike<number>, Number);
const map = (f: (x: number) => number) => (x: Tensor) => numbers(x).map(f);
const zip = (f: (a: number, b: number) => number) => (a: Tensor, b: Tensor) =>
  numbers(a).map((v, i) => f(v, numbers(b)[i % b.data.length]!));
const within = (x: Value) => op.and(op.greater(x, -1), op.greater(1, x));
const outside = (x: Value) => op.or(op.greater(x, 1), op.greater(-1, x));

const positive = tensor("float32", [2, 3], Float32Array.of(0.1, 0.5, 1, 2, 3.5, 100));

/** Abramowitz and Stegun's series for erf, summed until it no longer changes. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 60; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

describe("two operands", () => {
  const shapes = [[2, 3], [3]];
  test("add", () =>
    checkOp(
      shapes,
      op.add,
      zip((a, b) => a + b),
    ));
  test("sub", () =>
    checkOp(
      shapes,
      op.sub,
      zip((a, b) => a - b),
    ));
  test("mul", () =>
    checkOp(
      shapes,
      op.mul,
      zip((a, b) => a * b),
    ));
  test("div", () =>
    checkOp(
      shapes,
      op.div,
      zip((a, b) => a / b),
    ));
  test("pow", () =>
    checkOp(
      [positive, [3]],
      op.pow,
      zip((a, b) => a ** b),
    ));
  test("maximum", () => checkOp(shapes, op.maximum, zip(Math.max)));
  test("minimum", () => checkOp(shapes, op.minimum, zip(Math.min)));
  test("greater", () =>
    checkOp(
      shapes,
      op.greater,
      zip((a, b) => +(a > b)),
      { dtype: "bool" },
    ));
  test("greaterOrEqual", () =>
    checkOp(
      shapes,
      op.greaterOrEqual,
      zip((a, b) => +(a >= b)),
    ));
  test("equal", () =>
    checkOp(
      [[3]],
      (x) => op.equal(x, x),
      map(() => 1),
      { dtype: "bool" },
    ));
  test("and", () =>
    checkOp(
      [[9]],
      within,
      map((x) => +(x > -1 && x < 1)),
    ));
  test("or", () =>
    checkOp(
      [[9]],
      outside,
      map((x) => +(x > 1 || x < -1)),
    ));
  test("a number on the left", () =>
    checkOp(
      [[4]],
      (x) => op.sub(1, x),
      map((x) => 1 - x),
    ));
  test("numbers take the other's type", () => {
    const ids = tensor("int64", [2], BigInt64Array.of(3n, -5n));
    return checkOp(
      [ids],
      (x) => op.add(x, 2),
      () => [5, -3],
      { dtype: "int64" },
    );
  });
});

describe("one operand", () => {
  const x = [3, 5];
  test("neg", () =>
    checkOp(
      [x],
      op.neg,
      map((v) => -v),
    ));
  test("abs", () => checkOp([x], op.abs, map(Math.abs)));
  test("exp", () => checkOp([x], op.exp, map(Math.exp)));
  test("log", () => checkOp([positive], op.log, map(Math.log)));
  test("sqrt", () => checkOp([positive], op.sqrt, map(Math.sqrt)));
  test("reciprocal", () =>
    checkOp(
      [positive],
      op.reciprocal,
      map((v) => 1 / v),
    ));
  test("tanh", () => checkOp([x], op.tanh, map(Math.tanh)));
  test("sigmoid", () =>
    checkOp(
      [x],
      op.sigmoid,
      map((v) => 1 / (1 + Math.exp(-v))),
    ));
  test("erf", () => checkOp([x], op.erf, map(erf)));
  test("relu", () =>
    checkOp(
      [x],
      op.relu,
      map((v) => Math.max(v, 0)),
    ));
  test("identity", () =>
    checkOp(
      [x],
      op.identity,
      map((v) => v),
    ));
  test("not", () =>
    checkOp(
      [x],
      (v) => op.not(op.greater(v, 0)),
      map((v) => +!(v > 0)),
    ));
  test("clip", () =>
    checkOp(
      [x],
      (v) => op.clip(v, -1, 0.5),
      map((v) => Math.min(0.5, Math.max(-1, v))),
    ));
  test("clip above only", () =>
    checkOp(
      [x],
      (v) => op.clip(v, undefined, 0.5),
      map((v) => Math.min(0.5, v)),
    ));
  test("gelu", () =>
    checkOp(
      [x],
      (v) => op.gelu(v),
      map((v) => (v / 2) * (1 + erf(v / Math.SQRT2))),
    ));
  test("gelu tanh", () =>
    checkOp(
      [x],
      (v) => op.gelu(v, "tanh"),
      map((v) => (v / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))),
    ));
  test("silu", () =>
    checkOp(
      [x],
      op.silu,
      map((v) => v / (1 + Math.exp(-v))),
    ));
  test("where", () =>
    checkOp(
      [x],
      (v) => op.where(op.greater(v, 0), v, 7),
      map((v) => (v > 0 ? v : 7)),
    ));
  test("cast", () => checkOp([x], (v) => op.cast(v, "int32"), map(Math.trunc), { dtype: "int32" }));
});
