/**
 * Opens the device webgpu, runs graphs of every kind on it and on the CPU, and prints the largest error of each. A
 * process of its own: the Vulkan driver is chosen by the environment at start.
 */
import { type Dim, Graph, type Value } from "../../server/graph/graph.ts";
import * as op from "../../server/graph/ops/index.ts";
import { largestRowError } from "../../server/runtime/check-graph.ts";
import { Device, openDevice } from "../../server/runtime/device.ts";
import { toFloat32 } from "../../server/tensor/half.ts";
import { sizeOf, type Tensor, tensor } from "../../server/tensor/tensor.ts";

const settings = { threads: 2, memoryBudget: 2 ** 32 };
const d = 32;

function noise(dims: readonly number[], seed: number): Tensor<"float32"> {
  const data = Float32Array.from({ length: sizeOf(dims) }, (_, i) => Math.sin(i * 1.7 + seed));
  return tensor("float32", dims, data);
}

interface Case {
  readonly build: (input: (name: string, dims: readonly Dim[]) => Value) => Value[];
  readonly feeds: Record<string, Tensor>;
}

/** [tokens, heads, d_head] -> [heads, tokens, d_head], or back */
function heads(x: Value): Value {
  return op.transpose(x, [1, 0, 2]);
}

/** One block's attention over a KV cache, as language models run it. */
function attention(past: number): Case {
  return {
    build(input) {
      const x = input("x", ["tokens", d]);
      const pastK = input("pastK", ["past", 2, d / 2]);
      const mask = input("mask", ["tokens", "past+tokens"]);
      const k = op.reshape(op.rmsNorm(x, weight(x, "w", [d]), 1e-5), [0, 2, d / 2]);
      const keys = op.concat([pastK, k], 0);
      const q = heads(op.reshape(op.matmul(x, weight(x, "W_Q", [d, d])), [0, 2, -1]));
      const scores = op.matmul(q, op.transpose(keys, [1, 2, 0]));
      const pattern = op.softmax(op.add(scores, mask));
      return [k, pattern, op.reshape(heads(op.matmul(pattern, heads(keys))), [0, -1])];
    },
    feeds: {
      x: noise([5, d], 1),
      pastK: noise([past, 2, d / 2], 2),
      mask: noise([5, past + 5], 3),
    },
  };
}

function weight(x: Value, name: string, dims: readonly number[]): Value {
  return x.graph.weight(name, noise(dims, name.length));
}

const cases: Record<string, Case> = {
  "attention over a cache": attention(7),
  "attention over an empty cache": attention(0),
  "activation functions": {
    build(input) {
      const x = input("x", ["tokens", d]);
      const gated = op.mul(op.silu(x), op.gelu(x, "tanh"));
      const capped = op.mul(op.tanh(op.div(x, 30)), 30);
      return [gated, op.gelu(x), op.erf(x), capped, op.relu(x), op.logSoftmax(x)];
    },
    feeds: { x: noise([6, d], 4) },
  },
  "norms and sums": {
    build(input) {
      const x = input("x", ["tokens", d]);
      const scale = weight(x, "scale", [d]);
      return [
        op.layerNorm(x, scale, scale, 1e-5),
        op.rmsNorm(x, scale, 1e-6),
        op.reduceMean(x, [-1], true),
        op.reduceMax(x, [-1], true),
        op.sqrt(op.reduceSum(op.mul(x, x), [-1], true)),
        op.cumsum(x, 1),
      ];
    },
    feeds: { x: noise([6, d], 5) },
  },
  "SAE encoders": {
    build(input) {
      const x = input("x", ["tokens", d]);
      const preActs = op.gemm(x, weight(x, "W_enc", [d, 256]), weight(x, "b_enc", [256]));
      const jump = op.where(op.greater(preActs, weight(x, "threshold", [256])), preActs, 0);
      const top = op.topk(op.relu(preActs), 8);
      const byAbs = op.topk(op.abs(preActs), 8);
      return [
        preActs,
        op.topk(jump, 16).values,
        top.values,
        op.gatherElements(preActs, byAbs.indices, 1),
        op.cast(op.cast(top.indices, "int32"), "float32"),
        op.reduceSum(op.cast(op.greater(jump, 0), "float32"), [-1], true),
      ];
    },
    feeds: { x: noise([6, d], 6) },
  },
  "moving elements": {
    build(input) {
      const x = input("x", ["tokens", d]);
      const [a, b] = op.split(x, [d / 2, d / 2], 1);
      const rotated = op.concat([op.neg(b!), a!], 1);
      const last = op.slice(x, { axis: 0, from: -2 });
      return [rotated, last, op.expandLike(op.reduceSum(x, [-1], true), x)];
    },
    feeds: { x: noise([6, d], 7) },
  },
};

async function run(device: Device, { build, feeds }: Case, name: string): Promise<Tensor[]> {
  const graph = new Graph(name);
  const outputs = build((input, dims) => graph.input(input, "float32", dims));
  const names = outputs.map((_, i) => `y${i}`);
  outputs.forEach((value, i) => graph.output(`y${i}`, value));
  const session = await device.load(graph, { label: name });
  const results = await session.run(feeds, names);
  await session.release();
  return names.map((key) => {
    const { dims } = results[key]!;
    return { dtype: "float32", dims, data: toFloat32(results[key]!) };
  });
}

async function main(): Promise<void> {
  const { device, reports } = await openDevice({ ...settings, device: "webgpu" });
  const cpu = new Device("cpu", 2, 2 ** 32);
  const errors: Record<string, number> = {};
  for (const [name, one] of Object.entries(cases)) {
    const expected = await run(cpu, one, name);
    const found = await run(device, one, name);
    errors[name] = Math.max(...found.map((y, i) => largestRowError(y, expected[i]!)));
  }
  await device.close();
  const auto = await openDevice({ ...settings, device: "auto" });
  await auto.device.close();
  process.stdout.write(JSON.stringify({ reports, errors, auto: auto.reports }));
}

await main();
