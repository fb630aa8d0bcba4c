/**
 * Our side of the harvest benchmark, a process of its own: `harvest-ours MODEL HOOK THREADS`, asked and answering one JSON
 * object a line like bench/python/harvest_peer.py.
 */
import { createInterface } from "node:readline";
import { LmSource } from "../server/engine/runs/lm-source.ts";
import { loadLm } from "../server/lm/load.ts";
import { openDevice, runtimeVersion } from "../server/runtime/device.ts";
import { TokenWindowsBuilder } from "../server/store/token-windows.ts";
import { peakOfTree } from "./process-memory.ts";

const [model = "", hook = "", threads = "2"] = process.argv.slice(2);
const { device } = await openDevice({
  device: "cpu",
  threads: Number(threads),
  memoryBudget: 16 * 2 ** 30,
});
const lm = await loadLm(model, device);
console.log(JSON.stringify({ versions: { "onnxruntime-node": runtimeVersion } }));
for await (const line of createInterface({ input: process.stdin })) {
  const windows = JSON.parse(line).windows as number[][];
  const builder = new TokenWindowsBuilder(lm.config.d_vocab);
  for (const ids of windows) builder.push(ids);
  const policy = { skipPositions: 0, skipSpecial: false };
  const source = new LmSource(lm, builder.finish({}), [hook], policy);
  const cpu = process.cpuUsage();
  const start = performance.now();
  let last = new Float32Array(0);
  for (let at = 0; at < windows.length; at++) {
    last = (await source.read(at)).get(hook) as Float32Array<ArrayBuffer>;
  }
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  const row = Array.from(last.subarray(-lm.config.d_model));
  const cpuMs = (user + system) / 1000;
  console.log(JSON.stringify({ ms, cpuMs, row, peakMB: peakOfTree(process.pid) }));
}
