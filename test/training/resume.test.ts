/** A trainer that continues from a stored state goes on as if it had never stopped, to the last bit. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readSafetensors, writeSafetensors } from "../../server/encoding/safetensors.ts";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import type { Tensor } from "../../server/tensor/tensor.ts";
import { parseTrainConfig, type TrainConfig } from "../../server/training/config.ts";
import { openTrainer, type RawBatch, type StepResult } from "../../server/training/trainer.ts";
import { goldenBatches, goldenNames, goldenRun } from "./golden-runs.ts";
import { smallBatches, smallConfigs } from "./small-configs.ts";
import { testDeviceName } from "../test-device.ts";

let device: Device;
beforeAll(async () => {
  ({ device } = await openDevice({ device: testDeviceName, threads: 2, memoryBudget: 2 ** 30 }));
});
afterAll(() => device.close());

const half = 4;

/** Runs through and in two halves, the second by a new trainer from bytes. */
async function checkResume(
  config: TrainConfig,
  batches: readonly RawBatch[],
  init?: ReadonlyMap<string, Tensor>,
): Promise<void> {
  const whole = await openTrainer(config, device, init);
  for (const batch of batches.slice(0, whole.observations)) await whole.observe(batch);
  const lines: StepResult[] = [];
  let stored = new Uint8Array();
  for (const [step, batch] of batches.entries()) {
    if (step === half) stored = writeSafetensors(whole.state());
    lines.push(await whole.step(batch));
  }
  // It has begun elsewhere, of which nothing may remain.
  const resumed = await openTrainer(config, device, init);
  const others = batches.toReversed();
  for (const batch of others.slice(0, resumed.observations)) await resumed.observe(batch);
  for (const batch of others.slice(0, 2)) await resumed.step(batch);
  resumed.restore(readSafetensors(stored));
  expect(resumed.observations).toBe(0);
  expect(resumed.steps).toBe(half);
  for (const [at, batch] of batches.slice(half).entries())
    expect(await resumed.step(batch)).toEqual(lines[half + at]);
  expect(writeSafetensors(resumed.state())).toEqual(writeSafetensors(whole.state()));
  expect(resumed.finish()).toEqual(whole.finish());
  await whole.release();
  await resumed.release();
}

describe("golden runs", () => {
  test.each(goldenNames)("%s", (name) => {
    const { config, init } = goldenRun(name);
    return checkResume(
      config,
      goldenBatches().map((x) => ({ x })),
      init,
    );
  });
});

describe("options that no golden has", () => {
  test.each(Object.keys(smallConfigs))("%s", (name) => {
    const { config, target } = smallConfigs[name]!;
    return checkResume(config, smallBatches(config, target));
  });
});

test("however many threads share the work, numbers are the same", async () => {
  const config = parseTrainConfig(
    {
      architecture: "batchtopk",
      d_in: 67,
      d_sae: 8192,
      k: 9,
      steps: 9,
      lr: 0.01,
      dead: { after: 0 },
    },
    "a test",
  );
  const batches = smallBatches(config).slice(0, 4);
  // The device's own sums are not asked for here: it always has two threads.
  const run = async (threads: number) => {
    const trainer = await openTrainer(config, withThreads(device, threads));
    const lines = [];
    for (const batch of batches) lines.push(await trainer.step(batch));
    const hash = createHash("sha256").update(writeSafetensors(trainer.state()));
    await trainer.release();
    return { lines, state: hash.digest("hex") };
  };
  const one = await run(1);
  expect(await run(2)).toEqual(one);
  expect(await run(5)).toEqual(one);
});

/** The same device under another number of threads. */
function withThreads(own: Device, threads: number): Device {
  return new Proxy(own, {
    get: (target, key) => {
      if (key === "threads") return threads;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

test("a state of another config is refused", async () => {
  const { config } = smallConfigs["standard, tied"]!;
  const other = smallConfigs["standard, p 1.5"]!.config;
  const [a, b] = [await openTrainer(config, device), await openTrainer(other, device)];
  expect(() => b.restore(a.state())).toThrow(
    'the checkpoint\'s "parameters/W_enc" is missing: it belongs to a run with another config',
  );
  await a.release();
  await b.release();
});

describe("a step is taken whole or not at all", () => {
  const { config } = smallConfigs["matryoshka, a loss per level for dead latents"]!;
  const batches = smallBatches(config);
  const run = async (
    disturb?: (trainer: Awaited<ReturnType<typeof openTrainer>>) => Promise<void>,
  ) => {
    const trainer = await openTrainer(config, device);
    for (const batch of batches.slice(0, 3)) await trainer.step(batch);
    await disturb?.(trainer);
    for (const batch of batches.slice(3, 6)) await trainer.step(batch);
    const state = writeSafetensors(trainer.state());
    await trainer.release();
    return state;
  };

  test("cancelled at any moment, it changes nothing", async () => {
    const undisturbed = await run();
    const cancelled = await run(async (trainer) => {
      let taken = false;
      for (let turns = 0; !taken && turns < 30; turns++) {
        const before = writeSafetensors(trainer.state());
        const controller = new AbortController();
        const step = trainer.step(batches[3]!, controller.signal);
        for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
        controller.abort();
        taken = await step.then(
          () => true,
          () => false,
        );
        if (!taken) expect(writeSafetensors(trainer.state())).toEqual(before);
        else trainer.restore(readSafetensors(before));
      }
      expect(taken).toBe(true);
    });
    expect(cancelled).toEqual(undisturbed);
  });

  test("a loss that is no number stops it with the reason", async () => {
    const undisturbed = await run();
    const damaged = await run(async (trainer) => {
      const { x } = batches[3]!;
      const bad = { ...x, data: x.data.map((it, at) => (at === 40 ? Number.NaN : it)) };
      await expect(trainer.step(bad)).rejects.toMatchObject({ code: "loss-not-finite" });
      await expect(trainer.step(bad)).rejects.toThrow(/is NaN at step 3 \(learning rate 0.01\)/);
    });
    expect(damaged).toEqual(undisturbed);
  });
});
