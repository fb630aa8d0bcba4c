// A step by lists of active latents does what the graph of the whole step does.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";
import type { Batch } from "../../server/training/activation-normalization.ts";
import type { TrainConfig } from "../../server/training/config.ts";
import { DeadLatents } from "../../server/training/dead-latents.ts";
import { hasWeights } from "../../server/training/dense-recipe.ts";
import type { Forward } from "../../server/training/form.ts";
import { initialise } from "../../server/training/initial-parameters.ts";
import { Parameters } from "../../server/training/parameters.ts";
import type { RawBatch } from "../../server/training/trainer.ts";
import { kindOf } from "../../server/training/trainers/index.ts";
import { seeded } from "../random.ts";
import { goldenBatches, goldenNames, goldenRun } from "./golden-runs.ts";
import { smallBatches, smallConfigs } from "./small-configs.ts";

let device: Device;
beforeAll(async () => {
  ({ device } = await openDevice({ device: "cpu", threads: 2, memoryBudget: 2 ** 30 }));
});
afterAll(() => device.close());

const listed = ["standard", "jumprelu", "gated"];

interface Outcome {
  readonly forward: Forward;
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

/**
 * Multiples of a power of two: pre-activations are then exact in single and in double precision, so the same latents are
 * active, and the slope of f^p near 0 makes no great thing of a rounding error.
 */
function round(values: Float32Array, unit: number): Float32Array {
  values.forEach((it, at) => (values[at] = unit * Math.round(it / unit)));
  return values;
}

/** Losses and gradients of batch by batch and gradients at the same parameters; `mostActive` 0 is the graph, 1 the lists. */
async function outcomes(
  config: TrainConfig,
  {
    batches,
    init,
    mostActive,
  }: {
    batches: readonly Batch[];
    init: ReadonlyMap<string, Tensor<"float32">> | undefined;
    mostActive: number | undefined;
  },
): Promise<Outcome[]> {
  const kind = kindOf(config);
  const parameters = new Parameters(kind.shapes(config));
  initialise(parameters, config, kind.initial?.(config) ?? {});
  const initial = parameters.outside();
  for (const [name, { data }] of init ?? []) initial.get(name)!.data.set(data);
  parameters.setFrom(initial);
  const random = seeded(4);
  // Biases and norms that are not all the same.
  for (const { name, value } of parameters.all) {
    const size = name.startsWith("W_") ? 0.02 : 0.05;
    value.forEach((it, at) => (value[at] = it + size * (random() - 0.5)));
    round(value, name.startsWith("W_") ? 2 ** -7 : 2 ** -12);
  }
  if (parameters.has("threshold")) {
    const { value } = parameters.get("threshold");
    value.forEach((it, at) => (value[at] = Math.max(it, 0)));
  }
  const form = await kind.open({
    config,
    parameters,
    device,
    ...(mostActive === undefined ? {} : { mostActive }),
  });
  const rows = Math.max(...batches.map((it) => it.rows));
  parameters.makeRoom(form.workBytes(rows));
  form.place(rows);
  const dead = new DeadLatents(config);
  const found: Outcome[] = [];
  for (const [step, batch] of batches.entries()) {
    const forward = await form.forward(batch, { step, lr: 0, dead });
    forward.commit?.();
    dead.advance(forward.fired, batch.rows);
    found.push({
      forward,
      gradients: new Map(parameters.all.map(({ name, grad }) => [name, grad.slice()])),
    });
  }
  await form.release();
  return found;
}

/** Of single precision over sums of hundreds of terms; the graphs of such small SAEs compute in double precision. */
function expectSame(found: readonly Outcome[], wanted: readonly Outcome[]): void {
  for (const [at, { forward, gradients }] of wanted.entries()) {
    const own = found[at]!;
    expect(own.forward.fired).toEqual(forward.fired);
    expect(own.forward.l0).toBe(forward.l0);
    expectClose(own.forward.loss, forward.loss, "loss");
    expect(Object.keys(own.forward.parts)).toEqual(Object.keys(forward.parts));
    for (const [part, value] of Object.entries(forward.parts))
      expectClose(own.forward.parts[part]!, value, part);
    for (const [name, value] of Object.entries(forward.metrics ?? {}))
      expectClose(own.forward.metrics![name]!, value, name);
    if (forward.squaredError !== undefined)
      expectClose(own.forward.squaredError!, forward.squaredError, "squared error");
    for (const [name, gradient] of gradients) {
      const largest = gradient.reduce((most, it) => Math.max(most, Math.abs(it)), 1e-30);
      const worst = own.gradients
        .get(name)!
        .reduce((most, it, i) => Math.max(most, Math.abs(it - gradient[i]!)), 0);
      expect(worst / largest, `gradient of ${name}, step ${at}`).toBeLessThan(3e-6);
    }
  }
}

function expectClose(found: number, wanted: number, what: string): void {
  const error = Math.abs(found - wanted) / Math.max(Math.abs(wanted), 1e-30);
  if (!Number.isFinite(wanted)) expect(found, what).toBe(wanted);
  else expect(error, `${what}: ${found}, by the graph ${wanted}`).toBeLessThan(3e-6);
}

function exact({ dims, data }: Tensor<"float32">): Tensor<"float32"> {
  return tensor("float32", dims, round(data, 2 ** -5));
}

/** What a normalisation could have made of it. */
function batchOf(config: TrainConfig, { x, target, downstream }: RawBatch): Batch {
  const rows = x.dims[0]!;
  const input = exact(x);
  const hasOwnTarget = config.normalizeActivations.kind === "layer_norm" || target;
  return {
    rows,
    x: input,
    target: hasOwnTarget ? exact(target ?? tensor("float32", x.dims, x.data.map(Math.sin))) : input,
    scale: 0.7,
    ...(downstream ? { downstream } : {}),
    ...(hasWeights(config)
      ? { weight: Float32Array.from({ length: rows }, (_, at) => 0.5 + at / rows) }
      : {}),
  };
}

async function compare(
  config: TrainConfig,
  batches: readonly Batch[],
  init?: ReadonlyMap<string, Tensor<"float32">>,
): Promise<void> {
  const input = { batches, init };
  const graph = await outcomes(config, { ...input, mostActive: 0 });
  expectSame(await outcomes(config, { ...input, mostActive: 1 }), graph);
}

describe("golden runs", () => {
  const names = goldenNames.filter((name) => listed.includes(goldenRun(name).config.architecture));
  test.each(names)("%s", (name) => {
    const run = goldenRun(name);
    const batches = goldenBatches().map((x) => batchOf(run.config, { x }));
    return compare(run.config, batches, run.parameters("init"));
  });
});

describe("options that no golden has", () => {
  const names = Object.keys(smallConfigs).filter((name) =>
    listed.includes(smallConfigs[name]!.config.architecture),
  );
  test.each(names)("%s", (name) => {
    const { config, target } = smallConfigs[name]!;
    const batches = smallBatches(config, target).map((it) => batchOf(config, it));
    return compare(config, batches);
  });
});

test("lists are used where few latents are active, whatever the batch before", async () => {
  const { config } = smallConfigs["standard, becoming sparse"]!;
  const batches = smallBatches(config).map((it) => batchOf(config, it));
  const run = async (bias: number, mostActive?: number) => {
    const init = new Map([
      ["b_enc", tensor("float32", [config.d_sae], new Float32Array(config.d_sae).fill(bias))],
    ]);
    return (await outcomes(config, { batches, init, mostActive }))[0]!;
  };
  // With so low a bias few are active.
  const [some, graph, lists] = [await run(-1), await run(-1, 0), await run(-1, 1)];
  expect(some.forward.l0).toBeLessThan(config.d_sae / 24);
  expect(some).toEqual({ ...lists, forward: expect.anything() });
  expect(some.gradients).not.toEqual(graph.gradients);
  // Half of all are too many.
  const [many, whole] = [await run(0), await run(0, 0)];
  expect(many.forward.l0).toBeGreaterThan(config.d_sae / 24);
  expect(many.gradients).toEqual(whole.gradients);
});
