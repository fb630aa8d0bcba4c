/**
 * Loads 200 MB of float32 weights and 100 MB of float16 weights from a file into four sessions, runs them, and prints
 * plan and measurement. Argument: the folder to work in.
 */
import { closeSync, openSync, realpathSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Graph, type Value } from "../../server/graph/graph.ts";
import * as op from "../../server/graph/ops/index.ts";
import { Device } from "../../server/runtime/device.ts";
import { graphWeightBytes } from "../../server/runtime/memory-plan.ts";
import { float32ToFloat16 } from "../../server/tensor/half.ts";
import { type StoredTensor, tensor } from "../../server/tensor/tensor.ts";

const width = 1280;
const hidden = 5120;
const perSession = 4;
/** The data begin at an odd byte, as they may in a safetensors file. */
const start = 1883;

const folder = process.argv[2]!;

/** The element that fills matrix i: exact in both types, and no two matrices alike. */
function element(i: number): number {
  return (1 + i / 16) / 64;
}

/** A row of matrix i: small, so that writing does not make the process's memory grow. */
function rowOf(i: number, dtype: "float32" | "float16"): Uint8Array {
  const values = new Float32Array(width).fill(element(i));
  return new Uint8Array((dtype === "float32" ? values : float32ToFloat16(values)).buffer);
}

function writeWeights(): { file: string; places: StoredTensor[] } {
  const file = join(folder, "weights.bin");
  const fd = openSync(file, "w");
  let offset = start;
  const places: StoredTensor[] = [];
  for (let i = 0; i < 4 * perSession; i++) {
    const dtype = i < 2 * perSession ? "float32" : "float16";
    const dims = i % 2 === 0 ? [width, hidden] : [hidden, width];
    const byteLength = width * hidden * (dtype === "float32" ? 4 : 2);
    const chunk = rowOf(i, dtype);
    for (let at = 0; at < byteLength; at += chunk.length) {
      writeSync(fd, chunk, 0, chunk.length, offset + at);
    }
    places.push({ file, offset, byteLength, dtype, dims });
    offset += byteLength;
  }
  closeSync(fd);
  const real = realpathSync(file);
  return { file: real, places: places.map((place) => ({ ...place, file: real })) };
}

function buildGraph(session: number, places: readonly StoredTensor[]): Graph {
  const graph = new Graph(`session ${session}`);
  let x: Value = graph.input("x", "float32", ["tokens", width]);
  places.forEach((place, i) => {
    x = op.mul(op.matmul(x, graph.weight(`W${i}`, place)), 1 / 64);
  });
  graph.output("y", x);
  return graph;
}

async function main(): Promise<void> {
  const device = new Device("cpu", 1, 2 ** 40);
  const x = tensor("float32", [16, width], new Float32Array(16 * width).fill(1));
  // What the library itself takes is no part of the plan.
  const warm = new Graph("warm");
  warm.output("y", op.relu(warm.input("x", "float32", ["tokens", width])));
  await (await device.load(warm, { label: "warm" })).run({ x }, ["y"]);

  const { places } = writeWeights();
  globalThis.gc!();
  const before = process.memoryUsage.rss();
  let planned = 0;
  const sessions = [];
  for (let i = 0; i < 4; i++) {
    const graph = buildGraph(i, places.slice(i * perSession, (i + 1) * perSession));
    planned += graphWeightBytes(graph);
    sessions.push(await device.load(graph, { label: graph.name }));
  }
  const values: { found: number; expected: number }[] = [];
  for (const [i, session] of sessions.entries()) {
    const { y } = await session.run({ x }, ["y"]);
    let expected = 1;
    for (let j = 0; j < perSession; j++) {
      expected *= ((j % 2 === 0 ? width : hidden) * element(i * perSession + j)) / 64;
    }
    values.push({ found: Number(y!.data[0]), expected });
  }
  globalThis.gc!();
  const measured = process.memoryUsage.rss() - before;
  await device.close();
  const afterRelease = process.memoryUsage.rss() - before;
  process.stdout.write(JSON.stringify({ planned, measured, afterRelease, values }));
}

await main();
