/**
 * Our side of the training benchmark, a process of its own: `train-ours CASE.json THREADS DEVICE`, asked and answering one JSON
 * object a line like bench/python/train_peer.py.
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { readSafetensors } from "../server/encoding/safetensors.ts";
import type { DeviceName } from "../server/protocol/reader.ts";
import { openDevice } from "../server/runtime/device.ts";
import { tensor } from "../server/tensor/tensor.ts";
import { importTrainConfig } from "../server/training/import-config.ts";
import { openTrainer } from "../server/training/trainer.ts";
import { peakOfTree } from "./process-memory.ts";

const [caseFile = "", threads = "2", name = "cpu"] = process.argv.slice(2);
const setting = JSON.parse(readFileSync(caseFile, "utf8"));
const { device } = await openDevice({
  device: name as DeviceName,
  threads: Number(threads),
  memoryBudget: 16 * 2 ** 30,
});
const config = importTrainConfig(
  { sae_cfg: setting.sae_cfg, trainer_cfg: setting.trainer_cfg },
  caseFile,
);
const trainer = await openTrainer(config, device, readSafetensors(readFileSync(setting.init)));
const all = readSafetensors(readFileSync(setting.batches)).get("batches")!;
const [count = 0, rows = 0, d = 0] = all.dims;
const data = all.data as Float32Array;
console.log(JSON.stringify({ versions: {} }));
let taken = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const ms: number[] = [];
  const cpuMs: number[] = [];
  const losses: number[] = [];
  const l0: number[] = [];
  for (let left = JSON.parse(line).steps; left > 0; left--) {
    const at = (taken++ % count) * rows * d;
    const batch = tensor("float32", [rows, d], data.slice(at, at + rows * d));
    const start = performance.now();
    const cpu = process.cpuUsage();
    const result = await trainer.step(batch);
    ms.push(performance.now() - start);
    const { user, system } = process.cpuUsage(cpu);
    cpuMs.push((user + system) / 1000);
    losses.push(result.loss);
    l0.push(result.l0);
  }
  console.log(JSON.stringify({ ms, cpuMs, losses, l0, peakMB: peakOfTree(process.pid) }));
}
