// Gradients of what is added to an SAE's own loss, against differences of plain double-precision sums.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";
import type { Batch } from "../../server/training/activation-normalization.ts";
import { parseTrainConfig, type TrainConfig } from "../../server/training/config.ts";
import { DeadLatents } from "../../server/training/dead-latents.ts";
import type { TrainingForm } from "../../server/training/form.ts";
import { Parameters } from "../../server/training/parameters.ts";
import { kindOf } from "../../server/training/trainers/index.ts";
import { seeded } from "../random.ts";
import { plainRows } from "./plain-forward.ts";

let device: Device;
beforeAll(async () => {
  ({ device } = await openDevice({ device: "cpu", threads: 1, memoryBudget: 2 ** 30 }));
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
  await form.forward(batch, { step: 0, dead: new DeadLatents(config) });
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
