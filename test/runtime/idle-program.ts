/**
 * Runs a graph on two threads, waits, and prints the CPU time of the runs and of the wait.
 */
import { Graph, type Value } from "../../server/graph/graph.ts";
import * as op from "../../server/graph/ops/index.ts";
import { Device } from "../../server/runtime/device.ts";
import { tensor } from "../../server/tensor/tensor.ts";

const width = 512;
const data = Float32Array.from({ length: width * width }, (_, i) => Math.sin(i) / 16);

function cpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}

async function main(): Promise<void> {
  const threads = 2;
  const graph = new Graph("products");
  let x: Value = graph.input("x", "float32", ["tokens", width]);
  const W = graph.weight("W", tensor("float32", [width, width], data));
  for (let i = 0; i < 12; i++) x = op.matmul(x, W);
  graph.output("y", x);
  const session = await new Device("cpu", threads, 2 ** 30).load(graph, { label: "products" });
  const feed = { x: tensor("float32", [width, width], data) };
  await session.run(feed, ["y"]);

  let busy = 0;
  let idle = 0;
  let wall = 0;
  for (let i = 0; i < 10; i++) {
    const start = performance.now();
    let usage = process.cpuUsage();
    await session.run(feed, ["y"]);
    wall += performance.now() - start;
    busy += cpuMs(usage);
    usage = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 100));
    idle += cpuMs(usage);
  }
  process.stdout.write(JSON.stringify({ threads, wall, busy, idle, idleWall: 1000 }));
}

await main();
