/**
 * Training that stays on the device against training in our memory: the same steps. Here on the CPU, whose tensors stay
 * nowhere, or on the device that the tests of numbers run on (test/test-device.ts).
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readSafetensors, writeSafetensors } from "../../server/encoding/safetensors.ts";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";
import { parseTrainConfig, type TrainConfig } from "../../server/training/config.ts";
import { isAlone } from "../../server/training/resident-form.ts";
import { SaeTrainer } from "../../server/training/sae-trainer.ts";
import type { RawBatch, StepResult } from "../../server/training/trainer.ts";
import { seeded } from "../random.ts";
import { testDeviceName } from "../test-device.ts";
import { smallBatches, smallConfigs } from "./small-configs.ts";

let device: Device;
beforeAll(async () => {
  ({ device } = await openDevice({ device: testDeviceName, threads: 2, memoryBudget: 2 ** 30 }));
});
afterAll(() => device.close());

const names = Object.keys(smallConfigs).filter((name) => isAlone(smallConfigs[name]!.config));

interface Run {
  readonly lines: readonly StepResult[];
  readonly state: ReadonlyMap<string, Tensor>;
}

async function opened(config: TrainConfig, batches: readonly RawBatch[], stays: boolean) {
  const trainer = await SaeTrainer.open(config, device, { stays });
  for (const batch of batches.slice(0, trainer.observations)) await trainer.observe(batch);
  return trainer;
}

async function run(
  config: TrainConfig,
  batches: readonly RawBatch[],
  stays: boolean,
): Promise<Run> {
  const trainer = await opened(config, batches, stays);
  const lines: StepResult[] = [];
  for (const batch of batches) lines.push(await trainer.step(batch));
  await trainer.settle();
  const state = readSafetensors(writeSafetensors(trainer.state()));
  await trainer.release();
  return { lines, state };
}

/** What is counted or set. */
const facts = ({ dead, l0, step, lr }: StepResult) => ({ dead, l0, step, lr });

/** All numbers, by name. */
function numbers({ parts, metrics, ...line }: StepResult): Record<string, number> {
  return { ...line, ...parts, ...metrics };
}

/** Lines that say the same to within `tolerance`; what is counted, exactly. */
function expectSame(found: readonly StepResult[], wanted: readonly StepResult[]): void {
  expect(found.map(facts)).toEqual(wanted.map(facts));
  for (const [at, line] of found.entries()) {
    const [own, other] = [numbers(line), numbers(wanted[at]!)];
    expect(Object.keys(own).sort()).toEqual(Object.keys(other).sort());
    for (const [name, value] of Object.entries(other))
      expect(Math.abs(own[name]! - value), `${name} of step ${at}`).toBeLessThanOrEqual(
        1e-5 * Math.max(Math.abs(value), 1e-6),
      );
  }
}

describe("the same numbers as in our memory", () => {
  test.each(names)("%s", async (name) => {
    const { config, target } = smallConfigs[name]!;
    const batches = smallBatches(config, target);
    const [found, wanted] = [await run(config, batches, true), await run(config, batches, false)];
    expectSame(found.lines, wanted.lines);
    expect([...found.state.keys()].sort()).toEqual([...wanted.state.keys()].sort());
  });
});

test("a choice among a whole batch looks further where a row has more than its share", async () => {
  const config = parseTrainConfig(
    { architecture: "batchtopk", d_in: 12, d_sae: 256, steps: 20, lr: 0.01, k: 2 },
    "a test",
  );
  const random = seeded(3);
  const rows = 32;
  const data = Float32Array.from({ length: rows * 12 }, (_, at) =>
    // The first row takes about half of its 256 latents: all that are kept.
    at < 12 ? 1000 * (random() - 0.5) : random() - 0.5,
  );
  const batches = Array.from({ length: 3 }, () => ({ x: tensor("float32", [rows, 12], data) }));
  const [found, wanted] = [await run(config, batches, true), await run(config, batches, false)];
  expect(wanted.lines[0]!.l0).toBe(2);
  expectSame(found.lines, wanted.lines);
});

describe("a step is taken whole or not at all", () => {
  test.each(["matryoshka, a loss per level for dead latents", "jumprelu, tied"])(
    "%s: from a state or after a batch that is no number, it goes on the same",
    async (name) => {
      const { config, target } = smallConfigs[name]!;
      const batches = smallBatches(config, target);
      const whole = await opened(config, batches, true);
      for (const batch of batches.slice(0, 3)) await whole.step(batch);
      await whole.settle();
      const stored = writeSafetensors(whole.state());
      const { x } = batches[3]!;
      const bad = { ...x, data: x.data.map((it, at) => (at === 40 ? Number.NaN : it)) };
      await expect(whole.step({ x: bad })).rejects.toMatchObject({ code: "loss-not-finite" });
      await whole.settle();
      expect(writeSafetensors(whole.state())).toEqual(stored);

      const resumed = await opened(config, batches, true);
      await resumed.step(batches[5]!);
      resumed.restore(readSafetensors(stored));
      for (const batch of batches.slice(3, 6))
        expect(await resumed.step(batch)).toEqual(await whole.step(batch));
      for (const trainer of [whole, resumed]) await trainer.settle();
      expect(writeSafetensors(resumed.state())).toEqual(writeSafetensors(whole.state()));
      for (const trainer of [whole, resumed]) await trainer.release();
    },
  );

  test("the plan of memory has room for the next state beside the present one", async () => {
    const { config } = smallConfigs["standard, tied"]!;
    const planned = async (stays: boolean) => {
      const before = device.ledger.plannedBytes;
      const trainer = await opened(config, [], stays);
      const bytes = device.ledger.plannedBytes - before;
      await trainer.release();
      return bytes;
    };
    expect((await planned(true)) / (await planned(false))).toBe(40 / 16);
    expect(device.ledger.plannedBytes).toBe(0);
  });

  test("what has not come back from the device is not written", async () => {
    const { config } = smallConfigs["standard, tied"]!;
    const [first] = smallBatches(config);
    const trainer = await opened(config, [], true);
    await trainer.step(first!);
    expect(() => trainer.state()).toThrow(/not settled/);
    await trainer.release();
  });
});
