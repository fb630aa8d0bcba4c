// Gradients of what is added to an SAE's own loss, against differences of plain double-precision sums.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";
import type { Batch } from "../../server/training/activation-normalization.ts";
import { parseTrainConfig, type TrainConfig } from "../../server/training/config.ts";
import { DeadLatents } from "../../server/training/dead-latents.ts";
import type { TrainingForm } from "../../server/training/form.ts";
import { Parameters } from "../../server/training/parameters.ts";
import { downstreamLoss } from "../../server/training/downstream.ts";
import { openTrainer } from "../../server/training/trainer.ts";
import { kindOf } from "../../server/training/trainers/index.ts";
import { seeded } from "../random.ts";
import { plainRows } from "./plain-forward.ts";
import { testDeviceName } from "../test-device.ts";

let device: Device;
beforeAll(async () => {
  ({ device } = await openDevice({ device: testDeviceName, threads: 1, memoryBudget: 2 ** 30 }));
});
afterAll(() => device.close());

const rows = 7;
const sizes = { d_in: 10, d_sae: 24, steps: 5, lr: 0.01 } as const;
const l1 = { kind: "l1", coefficient: 0.1 } as const;
const configs: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  standard: { architecture: "standard", sparsity: l1 },
  "standard, tied": { architecture: "standard", sparsity: l1, tied: true },
  "standard, b_dec not at the input": {
    architecture: "standard",
    sparsity: l1,
    applyBDecToInput: false,
  },
  jumprelu: { architecture: "jumprelu", sparsity: { kind: "step", coefficient: 0.1 } },
  gated: { architecture: "gated", sparsity: l1 },
  topk: { architecture: "topk", k: 5 },
  "topk, tied": { architecture: "topk", k: 5, tied: true },
  "abstopk, not rescaled": { architecture: "abstopk", k: 4, rescaleActsByDecoderNorm: false },
};

/** A form with drawn parameters, after a step's forward pass, and a gradient at its output. */
async function opened(name: string) {
  const config = parseTrainConfig({ ...sizes, ...configs[name] }, "a test");
  const kind = kindOf(config);
  const parameters = new Parameters(kind.shapes(config));
  const random = seeded(5);
  const draw = (length: number, scale: number) =>
    Float32Array.from({ length }, () => scale * (2 * random() - 1));
  for (const { value, name: key } of parameters.all)
    value.set(draw(value.length, key.startsWith("W_") ? 0.6 : 0.2));
  const form = await kind.open({ config, parameters, device });
  parameters.makeRoom(form.workBytes(rows));
  form.place(rows);
  const x = tensor("float32", [rows, config.d_in], draw(rows * config.d_in, 1.5));
  const g = tensor("float32", [rows, config.d_in], draw(rows * config.d_in, 1));
  const batch: Batch = { rows, x, target: x, scale: 1 };
  await form.forward(batch, { step: 0, lr: 0, dead: new DeadLatents(config) });
  return { config, parameters, form, batch, g };
}

/** Parameters as doubles that may be moved, in the outer orientation. */
function movable({ parameters, config }: { parameters: Parameters; config: TrainConfig }) {
  const values = new Map(
    [...parameters.outside()].map(([name, { dims, data }]) => [
      name,
      { dims, data: Float64Array.from(data) },
    ]),
  );
  return { config, state: () => new Map<string, Tensor>(), parameters: () => values };
}

function difference(values: Float64Array, at: number, loss: () => number): number {
  const h = 1e-5;
  const before = values[at]!;
  values[at] = before + h;
  const above = loss();
  values[at] = before - h;
  const below = loss();
  values[at] = before;
  return (above - below) / (2 * h);
}

async function release(form: TrainingForm): Promise<void> {
  await form.release();
}

describe.each(Object.keys(configs))("%s", (name) => {
  test("attribution", async () => {
    const { config, parameters, form, batch, g } = await opened(name);
    for (const { grad } of parameters.all) grad.fill(0.5);
    const found = await form.attribute(batch, g);
    const plain = movable({ parameters, config });
    const loss = (): number => {
      const W_dec = plain.parameters().get("W_dec")!.data;
      return plainRows(plain, batch.x).reduce(
        (sum, { acts }, row) =>
          sum +
          acts.reduce((all, act, latent) => {
            let along = 0;
            for (let i = 0; i < config.d_in; i++)
              along += W_dec[latent * config.d_in + i]! * g.data[row * config.d_in + i]!;
            return all + Math.abs(act * along);
          }, 0),
        0,
      );
    };
    expect(found).toBeCloseTo(loss(), 4);
    for (const { name: key, grad, dims } of parameters.all) {
      // The estimate of a threshold's gradient is no derivative.
      if (key === "threshold") continue;
      const values = plain.parameters().get(key)!.data;
      const [n = 1, m = 1] = dims;
      for (let at = 0; at < values.length; at += 3) {
        const outer = key === "W_enc" ? (at % m) * n + Math.floor(at / m) : at;
        expect(grad[at]! - 0.5, `${key} ${at}`).toBeCloseTo(difference(values, outer, loss), 4);
      }
    }
    await release(form);
  });

  test("errors of rows, and their gradients by the rows", async () => {
    const { config, parameters, form, batch } = await opened(name);
    const { squaredErrors, gradient } = await form.explain(batch);
    const plain = movable({ parameters, config });
    const x = { dims: batch.x.dims, data: Float64Array.from(batch.x.data) };
    const errors = () =>
      plainRows(plain, x).map(({ x_hat }, row) =>
        x_hat.reduce((sum, it, i) => sum + (it - x.data[row * config.d_in + i]!) ** 2, 0),
      );
    errors().forEach((error, row) => expect(squaredErrors[row]).toBeCloseTo(error, 4));
    for (let at = 0; at < x.data.length; at++) {
      const loss = () => errors()[Math.floor(at / config.d_in)]!;
      expect(gradient[at], `x ${at}`).toBeCloseTo(difference(x.data, at, loss), 3);
    }
    await release(form);
  });
});

describe("activations that are scaled before the SAE", () => {
  const factor = 0.25;
  const scaled = {
    ...sizes,
    architecture: "standard",
    sparsity: l1,
    normalizeActivations: { kind: "scale", factor },
  } as const;
  const random = seeded(8);
  const draw = (length: number) => Float32Array.from({ length }, () => 8 * (random() - 0.5));
  const matrix = () => tensor("float32", [rows, sizes.d_in], draw(rows * sizes.d_in));

  test("attributions are those of the SAE for raw activations", async () => {
    const attribution = { coefficient: 3 };
    const config = parseTrainConfig({ ...scaled, attribution }, "a test");
    const trainer = await openTrainer(config, device);
    const [x, task, gradient] = [matrix(), matrix(), matrix()];
    // The factor is in the state as soon as a batch was seen.
    await trainer.step({ x, task: { prompts: 2, x: task, gradient } });
    const before = plainRows(trainer, task);
    const W_dec = trainer.parameters().get("W_dec")!.data;
    const found = await trainer.step({ x, task: { prompts: 2, x: task, gradient } });
    let sum = 0;
    before.forEach(({ acts }, row) =>
      acts.forEach((act, latent) => {
        let along = 0;
        for (let i = 0; i < sizes.d_in; i++)
          along += W_dec[latent * sizes.d_in + i]! * gradient.data[row * sizes.d_in + i]!;
        sum += Math.abs(act * along);
      }),
    );
    const wanted = ((3 / 2) * sum) / factor;
    expect(found.parts["attribution_loss"]! / wanted).toBeCloseTo(1, 4);
    const total = Object.values(found.parts).reduce((all, part) => all + part, 0);
    expect(found.loss / total).toBeCloseTo(1, 6);
    await trainer.release();
  });

  test("what comes after the SAE sees raw activations, and its gradient comes back by scaled ones", async () => {
    const seen: Float32Array[] = [];
    const downstream = {
      async loss(x_hat: Float32Array) {
        seen.push(x_hat);
        const kl_loss = x_hat.reduce((sum, it) => sum + it ** 3, 0);
        return { parts: { kl_loss }, gradient: x_hat.map((it) => 3 * it ** 2) };
      },
    };
    const config = parseTrainConfig({ ...scaled, endToEnd: {} }, "a test");
    const trainer = await openTrainer(config, device);
    const x = matrix();
    await trainer.step({ x, downstream });
    const wanted = plainRows(trainer, x).flatMap(({ x_hat }) => [...x_hat]);
    await trainer.step({ x, downstream });
    seen[1]!.forEach((it, at) => expect(it).toBeCloseTo(wanted[at]!, 3));
    await trainer.release();

    const batch = { rows, x, target: x, scale: factor, downstream };
    const at = 3;
    const h = 1e-2;
    const loss = async (by: number) => {
      const moved = x.data.map((it, i) => (i === at ? it + by : it));
      const { parts } = await downstreamLoss(batch, moved, { kl: 1, downstream: 0 });
      return parts["kl_loss"]!;
    };
    const { gradient } = await downstreamLoss(batch, x.data, { kl: 1, downstream: 0 });
    const slope = ((await loss(h)) - (await loss(-h))) / (2 * h);
    expect(gradient[at]! / slope).toBeCloseTo(1, 3);
  });
});
