// An SAE and the meta-SAE that is trained against it.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";
import { Adversary } from "../../server/training/adversary.ts";
import { parseTrainConfig, type TrainConfig } from "../../server/training/config.ts";
import { SaeTrainer } from "../../server/training/sae-trainer.ts";
import { openTrainer } from "../../server/training/trainer.ts";
import { seeded } from "../random.ts";
import { plainRows } from "./plain-forward.ts";
import { testDeviceName } from "../test-device.ts";

let device: Device;
beforeAll(async () => {
  ({ device } = await openDevice({ device: testDeviceName, threads: 1, memoryBudget: 2 ** 30 }));
});
afterAll(() => device.close());

const metas: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  topk: { architecture: "topk", k: 3 },
  "standard, scaled": {
    architecture: "standard",
    sparsity: { kind: "l1", coefficient: 0.01 },
    normalizeActivations: { kind: "scale", batches: 1 },
  },
};

test.each(Object.keys(metas))("the penalty's gradient by W_dec, %s", async (name) => {
  const [d_in, d_sae] = [8, 20];
  const config = parseTrainConfig(
    {
      architecture: "standard",
      d_in,
      d_sae,
      steps: 40,
      lr: 0.01,
      sparsity: { kind: "l1", coefficient: 0.1 },
      adversary: {
        coefficient: 3,
        stepsPerStep: 30,
        train: { ...metas[name], d_sae: 12, lr: 0.02 },
      },
    },
    "a test",
  );
  const options = config.adversary!;
  const meta = await SaeTrainer.open(options.train as TrainConfig, device);
  const adversary = new Adversary(options, meta, 0);
  const random = seeded(3);
  const value = Float32Array.from({ length: d_sae * d_in }, () => 2 * random() - 1);
  const grad = new Float32Array(value.length).fill(0.25);
  const empty = new Float32Array(value.length);
  const W_dec = { name: "W_dec", dims: [d_sae, d_in], value, grad, mean: empty, square: empty };
  await adversary.learn(W_dec, 0);
  expect(meta.steps).toBe(30);
  const { parts, metrics } = await adversary.penalise(W_dec, 0);
  const doubles = Float64Array.from(value);
  const penalty = (): number => {
    const rows = Float64Array.from(doubles, (it, at) => {
      const first = at - (at % d_in);
      return it / Math.hypot(...doubles.subarray(first, first + d_in));
    });
    const found = plainRows(meta, { dims: [d_sae, d_in], data: rows });
    const shares = found.map(({ x_hat }, row) =>
      Math.max(0, 1 - x_hat.reduce((sum, it, i) => sum + (it - rows[row * d_in + i]!) ** 2, 0)),
    );
    return (3 * shares.reduce((sum, it) => sum + it, 0)) / d_sae;
  };
  expect(parts["adversary_loss"]).toBeCloseTo(penalty(), 5);
  expect(metrics["meta_explained"]).toBeCloseTo(penalty() / 3, 5);
  expect(penalty()).toBeGreaterThan(0.3);
  for (let at = 0; at < value.length; at++) {
    const h = 1e-5;
    const before = doubles[at]!;
    doubles[at] = before + h;
    const above = penalty();
    doubles[at] = before - h;
    const below = penalty();
    doubles[at] = before;
    expect(grad[at]! - 0.25, `W_dec ${at}`).toBeCloseTo((above - below) / (2 * h), 4);
  }
  await meta.release();
});

test("the memory plan has a line for each SAE, also for equal ones", async () => {
  const config = parseTrainConfig(
    {
      architecture: "topk",
      k: 2,
      d_in: 8,
      d_sae: 16,
      steps: 1,
      lr: 1,
      adversary: { coefficient: 1, train: { architecture: "topk", k: 2, d_sae: 16, lr: 1 } },
    },
    "a test",
  );
  const before = device.ledger.plannedBytes;
  const trainers = [await openTrainer(config, device), await openTrainer(config, device)];
  // Two matrices of 16 × 8, and vectors of 16 and 8; four numbers of 4 bytes for each parameter.
  expect(device.ledger.plannedBytes - before).toBeGreaterThanOrEqual(4 * 16 * (256 + 24));
  for (const trainer of trainers) await trainer.release();
  expect(device.ledger.plannedBytes).toBeLessThanOrEqual(before);
});

describe("composed directions", () => {
  // Six colours and six shapes in twelve orthogonal directions; every input is one of 24 pairs, for each of which there is a latent.
  const d_in = 16;
  const pairs = 24;
  const meta = { architecture: "topk", k: 2, d_sae: 4, lr: 0.01, aux: null } as const;

  async function trained(coefficient: number) {
    const config = parseTrainConfig(
      {
        architecture: "topk",
        k: 2,
        d_in,
        d_sae: pairs,
        steps: 400,
        lr: 0.01,
        seed: 1,
        aux: null,
        adversary: {
          coefficient,
          startStep: 50,
          warmUpSteps: 50,
          stepsPerStep: 2,
          train: meta,
        },
      },
      "a test",
    );
    const trainer = await openTrainer(config, device);
    const random = seeded(9);
    let fvu = 0;
    for (let step = 0; step < config.steps; step++)
      fvu = (await trainer.step(pairBatch(random))).fvu!;
    const W_dec = trainer.parameters().get("W_dec")!;
    await trainer.release();
    return { fvu, explained: await explainedByFreshMeta(W_dec) };
  }

  /** One of 24 of the 36 pairs, with a random strength. */
  function pairBatch(random: () => number): Tensor<"float32"> {
    const data = new Float32Array(128 * d_in);
    for (let row = 0; row < 128; row++) {
      const pair = Math.floor(random() * pairs);
      const strength = 1 + random();
      data[row * d_in + (pair % 6)] = strength;
      data[row * d_in + 6 + ((pair + Math.floor(pair / 6)) % 6)] = strength;
    }
    return tensor("float32", [128, d_in], data);
  }

  /** Share of unit decoder rows that a meta-SAE explains which was trained after the SAE, on it alone. */
  async function explainedByFreshMeta({ dims, data }: Tensor<"float32">): Promise<number> {
    const rows = data.map((it, at) => {
      const first = at - (at % d_in);
      return it / Math.hypot(...data.subarray(first, first + d_in));
    });
    const x = tensor("float32", dims, rows);
    const config = parseTrainConfig({ ...meta, d_in, steps: 400 }, "a test");
    const fresh = await SaeTrainer.open(config, device);
    for (let step = 0; step < config.steps; step++) await fresh.step(x);
    const { squaredErrors } = await fresh.explain({ x });
    await fresh.release();
    return 1 - squaredErrors.reduce((sum, it) => sum + it, 0) / squaredErrors.length;
  }

  test("are fewer with the penalty than without", async () => {
    const [without, against] = [await trained(0), await trained(1)];
    // 0.588 and 0.429, at a share of unexplained variance of 0.017 and 0.039.
    expect(against.explained).toBeLessThan(without.explained - 0.1);
    expect(against.fvu).toBeLessThan(0.06);
  });
});
