/**
 * Trains on WebGPU, where parameters stay on the device, and on the CPU, where they do not; prints how far losses and
 * weights are apart, what of a step's graph did not run on the device, and memory while steps are taken.
 */
import * as ort from "onnxruntime-node";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { SeededRandom } from "../../server/base/seeded-random.ts";
import { Device, openDevice } from "../../server/runtime/device.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { parseTrainConfig } from "../../server/training/config.ts";
import { isDouble } from "../../server/training/dense-recipe.ts";
import { openTrainer } from "../../server/training/trainer.ts";

/** More weights than are computed in double precision. */
const sizes = { d_in: 160, d_sae: 512, steps: 20, lr: 0.01 } as const;
const rows = 48;
const steps = 3;
const dead = { after: 1, unit: "steps" };
const l1 = { kind: "l1", coefficient: 1 };

const configs: Record<string, object> = {
  batchtopk: { architecture: "batchtopk", k: 8, dead },
  topk: { architecture: "topk", k: 8, decoder: { kind: "unit" } },
  matryoshka: { architecture: "matryoshka", k: 8, widths: [100, 512] },
  standard: { architecture: "standard", sparsity: l1 },
  jumprelu: { architecture: "jumprelu", sparsity: { kind: "step", coefficient: 1 } },
  gated: { architecture: "gated", sparsity: l1 },
};

const folder = join(process.argv[2]!, `webgpu-${process.pid}`);
mkdirSync(folder, { recursive: true });
const profiled: { label: string; session: ort.InferenceSession }[] = [];
profile();

const random = new SeededRandom(1);
const batches = Array.from({ length: steps }, () =>
  tensor(
    "float32",
    [rows, sizes.d_in],
    Float32Array.from({ length: rows * sizes.d_in }, () => random.normal()),
  ),
);
const settings = { threads: 2, memoryBudget: 2 ** 32 };
const { device } = await openDevice({ ...settings, device: "webgpu" });
const cpu = new Device("cpu", 2, 2 ** 32);
const errors: Record<string, number> = {};
for (const [name, options] of Object.entries(configs)) {
  const config = parseTrainConfig({ ...sizes, ...options }, name);
  if (isDouble(config)) throw new Error("the test's sizes are too small");
  const [found, wanted] = [await train(config, device), await train(config, cpu)];
  errors[name] = Math.max(
    ...found.losses.map((loss, step) => Math.abs(loss / wanted.losses[step]! - 1)),
  );
}
const report = { errors, elsewhere: notOnDevice() };
rmSync(folder, { recursive: true });
process.stdout.write(JSON.stringify(report));

async function train(config: Parameters<typeof openTrainer>[0], on: Device) {
  const trainer = await openTrainer(config, on);
  const losses: number[] = [];
  for (const batch of batches) losses.push((await trainer.step(batch)).loss);
  await trainer.settle();
  for (const { data } of trainer.parameters().values())
    if (!data.every(Number.isFinite)) throw new Error("a weight is no number");
  await trainer.release();
  return { losses };
}

/** Makes every session on WebGPU write down where its nodes run. */
function profile(): void {
  const create = ort.InferenceSession.create.bind(ort.InferenceSession) as (
    ...args: unknown[]
  ) => Promise<ort.InferenceSession>;
  const profiling = async (bytes: Uint8Array, options: ort.InferenceSession.SessionOptions) => {
    if (!options.executionProviders?.includes("webgpu")) return create(bytes, options);
    const profileFilePrefix = join(folder, String(profiled.length));
    const session = await create(bytes, { ...options, enableProfiling: true, profileFilePrefix });
    profiled.push({ label: options.logId!, session });
    return session;
  };
  Object.assign(ort.InferenceSession, { create: profiling });
}

/** Ops of training steps that another provider ran, with the largest output of each in bytes. */
function notOnDevice(): Record<string, number> {
  const found: Record<string, number> = {};
  for (const file of readdirSync(folder)) {
    if (!profiled[Number.parseInt(file)]!.label.endsWith("training step")) continue;
    for (const event of JSON.parse(readFileSync(join(folder, file), "utf8"))) {
      if (event.cat !== "Node" || !event.name.endsWith("_kernel_time")) continue;
      const { op_name: op, provider, output_size: size } = event.args;
      if (provider !== "WebGpuExecutionProvider")
        found[op] = Math.max(found[op] ?? 0, Number(size));
    }
  }
  return found;
}
