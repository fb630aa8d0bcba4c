/**
 * Checks the gradient rules of one graph against torch's goldens (test/python/op_gradients.py) in f32, and against
 * finite differences in f64.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readSafetensors } from "../../server/encoding/safetensors.ts";
import { backward } from "../../server/graph/gradients.ts";
import { type Dim, Graph, type Value } from "../../server/graph/graph.ts";
import { add, mul, reduceSum } from "../../server/graph/ops/index.ts";
import { openDevice } from "../../server/runtime/device.ts";
import { type DType, type Tensor, tensor } from "../../server/tensor/tensor.ts";
import { repoRoot } from "../parts.ts";
import { testDeviceName } from "../test-device.ts";

/** All goldens: `<case>/x0`, `<case>/y`, `<case>/dy`, `<case>/dx0`. */
export const goldens: ReadonlyMap<string, Tensor> = readSafetensors(
  readFileSync(join(repoRoot, "test/golden/op-gradients/op-gradients.safetensors")),
);

/** Cases that were checked. */
export const checkedCases = new Set<string>();

/** What differs from the common check. */
export interface GradientCheck {
  /** Shapes of the inputs with names, for a second build of the same graph. */
  readonly symbolic?: readonly (readonly Dim[])[];
  /** Why there are no finite differences: ONNX Runtime's CPU provider has no f64 kernel, or the point has no slope. */
  readonly noDifferences?: "no f64 kernel" | "no slope here";
  /** Largest difference from torch, relative to the largest element (default 2e-6). */
  readonly tolerance?: number;
}

type Build = (...inputs: Value[]) => Value | readonly Value[];

const opened = openDevice({ device: testDeviceName, threads: 1, memoryBudget: 2 ** 33 });

/** How the provider says that it has no kernel; those of GPUs stop before they get so far. */
const noKernel =
  testDeviceName === "cpu"
    ? /Could not find an implementation/
    : /IsNodeCompatibleWithProvider|implementation/;

/** One golden case as a test: `name` starts with the op's name. */
export function checkGradient(name: string, build: Build, options: GradientCheck = {}): void {
  checkedCases.add(name);
  test(name, async () => {
    const inputs = numbered(name, "x");
    const dys = goldens.has(`${name}/dy`) ? [goldens.get(`${name}/dy`)!] : numbered(name, "dy");
    await compareWithTorch(name, { inputs, dys }, build, options);
    if (options.symbolic !== undefined) {
      await compareWithTorch(name, { inputs, dys, dims: options.symbolic }, build, options);
    }
    const doubles = { inputs: inputs.map(toDouble), dys: dys.map(toDouble) };
    if (options.noDifferences === "no f64 kernel") {
      // Should a newer ONNX Runtime have one, this fails and asks for the check.
      await expect(openPoint(doubles, build)).rejects.toThrow(noKernel);
    } else if (options.noDifferences === undefined) {
      await compareWithDifferences(doubles, build);
    }
  });
}

/** A point at which a function and its gradients are taken. */
interface Point {
  readonly inputs: readonly Tensor[];
  readonly dys: readonly Tensor[];
  readonly dims?: readonly (readonly Dim[])[];
}

async function compareWithTorch(
  name: string,
  point: Point,
  build: Build,
  { tolerance = 2e-6 }: GradientCheck,
): Promise<void> {
  const { run, release } = await openPoint(point, build);
  const found = await run(point.inputs);
  await release();
  const single = goldens.get(`${name}/y`);
  (single ? [single] : numbered(name, "y")).forEach((y, i) => {
    compare(found[`y${i}`]!, y, tolerance, `y${i}`);
  });
  point.inputs.forEach((x, i) => {
    if (isFloat(x)) compare(found[`dx${i}`]!, goldens.get(`${name}/dx${i}`)!, tolerance, `dx${i}`);
  });
}

/** Central differences of Σ dy · y, element by element. */
async function compareWithDifferences(point: Point, build: Build): Promise<void> {
  const { run, release } = await openPoint(point, build);
  const found = await run(point.inputs);
  for (const [i, x] of point.inputs.entries()) {
    if (!isFloat(x)) continue;
    const sizes = Array.from(x.data as Float64Array, Math.abs).filter(Number.isFinite);
    const step = 1e-5 * (Math.max(...sizes) || 1);
    const differences = new Float64Array(x.data.length);
    for (let at = 0; at < differences.length; at++) {
      if (!Number.isFinite(x.data[at])) continue;
      const lossAt = async (offset: number): Promise<number> => {
        const moved = Float64Array.from(x.data as Float64Array);
        moved[at]! += offset;
        const inputs = point.inputs.with(i, tensor("float64", x.dims, moved));
        return Number((await run(inputs, ["loss"]))["loss"]!.data[0]);
      };
      differences[at] = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
    }
    compare(found[`dx${i}`]!, tensor("float64", x.dims, differences), 1e-8, `difference in x${i}`);
  }
  await release();
}

async function openPoint({ inputs, dys, dims }: Point, build: Build) {
  const graph = new Graph("test");
  const xs = inputs.map((x, i) => graph.input(`x${i}`, x.dtype, dims?.[i] ?? x.dims));
  const built = build(...xs);
  const ys = "dtype" in built ? [built] : built;
  const seeds = ys.map((value, i) => {
    const dy = graph.input(`dy${i}`, dys[i]!.dtype, value.dims);
    const all = value.dims.map((_, axis) => axis);
    graph.output(`y${i}`, value);
    return { value, dy, loss: reduceSum(mul(value, dy), all) };
  });
  graph.output(
    "loss",
    seeds.map(({ loss }) => loss).reduce((a, b) => add(a, b)),
  );
  const wrt = xs.filter(({ dtype }) => dtype.startsWith("float"));
  const names = wrt.map((x) => `d${x.name}`);
  backward(seeds, wrt).forEach((dx, i) => {
    expect(dx.dims).toEqual(wrt[i]!.dims);
    graph.output(names[i]!, dx);
  });
  const session = await (await opened).device.load(graph, { label: "test" });
  return {
    release: () => session.release(),
    run: (xs: readonly Tensor[], fetches: readonly string[] = [...graph.outputs.keys()]) => {
      const feeds = [
        ...xs.map((x, i) => [`x${i}`, x] as const),
        ...dys.map((dy, i) => [`dy${i}`, dy] as const),
      ];
      return session.run(Object.fromEntries(feeds), fetches);
    },
  };
}

/** Each element to within `tolerance` of the largest; exact zeros and infinities exactly. */
function compare(found: Tensor, expected: Tensor, tolerance: number, what: string): void {
  expect(found.dims, what).toEqual(expected.dims);
  const numbers = Array.from(expected.data as ArrayLike<number>, Number);
  const bound = tolerance * Math.max(1, ...numbers.filter(Number.isFinite).map(Math.abs));
  numbers.forEach((value, i) => {
    const own = Number(found.data[i]);
    const same = own === value || Math.abs(own - value) <= bound;
    expect(same, `${what}, element ${i}: found ${own}, expected ${value}`).toBe(true);
  });
}

function numbered(name: string, letter: string): Tensor[] {
  const found: Tensor[] = [];
  for (let i = 0; goldens.has(`${name}/${letter}${i}`); i++) {
    found.push(goldens.get(`${name}/${letter}${i}`)!);
  }
  return found;
}

function isFloat({ dtype }: { readonly dtype: DType }): boolean {
  return dtype.startsWith("float");
}

function toDouble(x: Tensor): Tensor {
  return isFloat(x) ? tensor("float64", x.dims, Float64Array.from(x.data as Float32Array)) : x;
}
