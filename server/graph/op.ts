/**
 * What an op is: one entry with its ONNX spelling, its shape rule and the place of its gradient rule.
 */
import type { DType, Tensor } from "../tensor/tensor.ts";
import { type Dim, printDims } from "./dims.ts";
import type { Value, ValueType } from "./graph.ts";

/** Attribute of an ONNX node. Graph-valued attributes (Loop, If) will be one more kind. */
export type OnnxAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly ints: readonly number[] };

/** Ends a shape rule with an error that shows op, shapes and the problem. */
export type Fail = (problem: string) => never;

/**
 * The reverse-mode rule of an op: from the gradients of its outputs (undefined where nothing flows) to those of
 * its inputs (undefined for an input that has none, such as indices). Where an input was stretched, the rule answers
 * in the stretched shape; `backward` sums it down.
 */
export type GradientRule<A> = (
  dy: readonly (Value | undefined)[],
  inputs: readonly (Value | undefined)[],
  outputs: readonly Value[],
  attrs: A,
) => readonly (Value | undefined)[];

/** One kind of computation. `A` are its static parameters. */
// oxlint-disable-next-line typescript/no-explicit-any -- a node may hold an op with parameters of any type.
export interface Op<A = any> {
  /** As printed. */
  readonly name: string;
  readonly onnx: string;
  /** ONNX operator set; the standard one by default. */
  readonly domain?: "com.microsoft";
  /** Types of the outputs; a left-out optional input is undefined. */
  shape(inputs: readonly ValueType[], attrs: A, fail: Fail): readonly ValueType[];
  /** ONNX attributes. */
  attributes?(attrs: A): Readonly<Record<string, OnnxAttribute>>;
  /** Parameters that ONNX takes as constant inputs after the inputs of the node. */
  operands?(attrs: A): readonly (Tensor | undefined)[];
  readonly gradient?: GradientRule<A>;
  /**
   * The gradient rule works element by element, so it also takes a gradient that is not yet stretched to the
   * output's shape: that of a sum needs no tensor full of one number.
   */
  readonly elementwise?: true;
}

/** Types an op entry by its parameters. */
export function defineOp<A extends object = object>(op: Op<A>): Op<A> {
  return op;
}

/** Adds a node to the graph of its first input after checking shapes; returns all its outputs. */
export function apply<A extends object>(
  op: Op<A>,
  inputs: readonly (Value | undefined)[],
  attrs: A,
): readonly Value[] {
  const graph = inputs.find((input) => input !== undefined)!.graph;
  const fail: Fail = (problem) => {
    const types = inputs.map((input) => (input ? printType(input) : "-")).join(", ");
    throw new Error(`${op.name}(${types}) in ${graph.name}: ${problem}`);
  };
  for (const input of inputs) {
    if (input && input.graph !== graph) fail(`${input.name} belongs to graph ${input.graph.name}`);
  }
  const types = op.shape(inputs as readonly ValueType[], attrs, fail);
  return graph.addNode(op, inputs, attrs as Record<string, unknown>, types);
}

/** `apply` for ops with one output. */
export function applyOne<A extends object>(
  op: Op<A>,
  inputs: readonly (Value | undefined)[],
  attrs: A,
): Value {
  return apply(op, inputs, attrs)[0]!;
}

const shortNames: Record<DType, string> = {
  float32: "f32",
  float64: "f64",
  float16: "f16",
  bfloat16: "bf16",
  int8: "i8",
  uint8: "u8",
  int16: "i16",
  uint16: "u16",
  int32: "i32",
  uint32: "u32",
  int64: "i64",
  uint64: "u64",
  bool: "bool",
};

/** Prints a type: "f32[tokens, 576]". */
export function printType(type: ValueType): string {
  return `${shortNames[type.dtype]}${printDims(type.dims)}`;
}

/** Checks that inputs have one element type and returns it. */
export function sameDType(inputs: readonly ValueType[], fail: Fail): DType {
  const dtype = inputs[0]!.dtype;
  for (const input of inputs) {
    if (input && input.dtype !== dtype) fail(`element types ${dtype} and ${input.dtype} differ`);
  }
  return dtype;
}

/** Checks that an input is of one of these element types. */
export function expectDType(type: ValueType, allowed: readonly DType[], fail: Fail): void {
  if (!allowed.includes(type.dtype))
    fail(`${type.dtype} where ${allowed.join(" or ")} is expected`);
}

/** An axis counted from the front; negative ones count from the back. */
export function axisOf(axis: number, rank: number, fail: Fail): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(at) || at < 0 || at >= rank) fail(`axis ${axis} is not one of ${rank}`);
  return at;
}

/** The shape of elementwise results: numpy's rule; a name equals only itself, and 1 stretches to it. */
export function broadcast(shapes: readonly (readonly Dim[])[], fail: Fail): readonly Dim[] {
  const rank = Math.max(...shapes.map((dims) => dims.length));
  const result: Dim[] = Array.from<Dim>({ length: rank }).fill(1);
  for (const dims of shapes) {
    dims.forEach((dim, i) => {
      const at = rank - dims.length + i;
      const other = result[at]!;
      if (dim === other || dim === 1) return;
      if (other !== 1) fail(`dimension ${at - rank} is ${other} in one and ${dim} in the other`);
      result[at] = dim;
    });
  }
  return result;
}
