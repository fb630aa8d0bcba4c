/** Toy runs from end to end: what is planted is found, what is not planted is not. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { toyArchitectures, type ToyKnobs, type ToyResult } from "../../server/protocol/toy.ts";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { runToy } from "../../server/toy/toy.ts";
import { parseToyConfig, withKnobs } from "../../server/toy/toy-config.ts";

let device: Device;
beforeAll(async () => {
  ({ device } = await openDevice({ device: "cpu", threads: 1, memoryBudget: 2 ** 30 }));
});
afterAll(() => device.close());

const small = { features: 6, parents: 2, children: 1, steps: 1000 };

function toy(knobs: ToyKnobs, base: unknown = {}): Promise<Omit<ToyResult, "seconds">> {
  const { sae, ...rest } = base as { sae?: object };
  const file = { d_in: 10, testRows: 2000, ...rest, sae: { lr: 0.01, batch: 256, ...sae } };
  const config = parseToyConfig(withKnobs(file, { ...small, ...knobs }), "a test");
  return runToy(config, { device });
}

const shown = (list: readonly number[]) => list.map((it) => it.toFixed(2)).join(" ");

test("absorption appears with hierarchy under an L1 penalty: ROC over seeds", async () => {
  const seeds = [0, 1, 2, 3];
  const scores = async (knobs: ToyKnobs) => {
    const all: number[] = [];
    for (const seed of seeds)
      all.push(
        ...(await toy({ ...knobs, seed })).parents.flatMap((it) =>
          it.kind === "child" ? [it.absorbed ?? 0] : [],
        ),
      );
    return all;
  };
  const planted = await scores({ hierarchy: 1 });
  const unplanted = await scores({ hierarchy: 0 });
  const pairs = planted.flatMap((a) => unplanted.map((b) => (a > b ? 1 : a === b ? 0.5 : 0)));
  const auc = pairs.reduce<number>((sum, it) => sum + it, 0) / pairs.length;
  process.stdout.write(
    `toy absorption: planted ${shown(planted)}; not planted ${shown(unplanted)}; area under the ROC curve ${auc.toFixed(3)}\n`,
  );
  expect(auc).toBeGreaterThan(0.99);
  expect(Math.max(...unplanted)).toBeLessThan(0.05);
});

describe("an SAE of the right size recovers independent features", () => {
  test.each([
    ["standard", {}],
    ["standard", { directions: { kind: "overlap", cosine: 0.2 } }],
    ["standard", { features: { deviation: 0.2 } }],
    ["gated", {}],
    ["batchtopk", {}],
  ] as const)("%s %j", async (architecture, base) => {
    const { recovery, sae, absorption } = await toy({ architecture, parents: 0, seed: 1 }, base);
    expect(recovery.matchedCosine).toBeGreaterThan(0.98);
    expect(recovery.recovered).toBe(1);
    expect(sae.fvu).toBeLessThan(0.02);
    expect(absorption).toEqual({ absorbed: null, carried: null });
  });
});

test.each(toyArchitectures)(
  "%s: the same config gives the same figures, to the last bit",
  async (architecture) => {
    const knobs = { architecture, steps: 40 };
    const first = await toy({ ...knobs, seed: 4 });
    expect(await toy({ ...knobs, seed: 4 })).toEqual(first);
    expect((await toy({ ...knobs, seed: 5 })).curve.loss).not.toEqual(first.curve.loss);
    expect(first.cosines.map((row) => row.length)).toEqual([6, 6, 6, 6, 6, 6]);
    expect(first.cosines.flat().every((it) => Number.isFinite(it) && Math.abs(it) < 1.000001)).toBe(
      true,
    );
    expect(parseToyConfig(first.config, "its own config")).toEqual(first.config);
  },
);

test("an adversarial meta-SAE beside takes absorption away", async () => {
  const knobs = { features: 8, parents: 2, children: 2, seed: 1 };
  const plain = await toy(knobs);
  const joint = await toy({ ...knobs, adversary: 0.1 });
  expect(plain.absorption.absorbed).toBeGreaterThan(0.9);
  expect(joint.absorption.absorbed).toBeLessThan(0.1);
  expect(joint.recovery.matchedCosine).toBeGreaterThan(plain.recovery.matchedCosine);
});

test("more latents than features split, and fewer leave features out", async () => {
  const many = await toy({ latents: 12 });
  expect(many.cosines[0]).toHaveLength(12);
  const few = await toy({ latents: 3, steps: 100 });
  expect(few.features.filter(({ latent }) => latent === null)).toHaveLength(3);
});

test("cancelling ends it between two steps", async () => {
  const controller = new AbortController();
  const config = parseToyConfig(withKnobs({}, small), "a test");
  const run = runToy(config, {
    device,
    signal: controller.signal,
    onProgress: ({ step }) => step === 3 && controller.abort(),
  });
  await expect(run).rejects.toMatchObject({ name: "AbortError" });
});

test("options of a training config win, and their errors name them", async () => {
  const { config } = await toy({ steps: 5 }, { sae: { options: { clipGradNorm: null } } });
  expect(config).toMatchObject({ sae: { options: { clipGradNorm: null } } });
  await expect(toy({ steps: 5 }, { sae: { options: { clip: 1 } } })).rejects.toThrow(
    'the toy run: there is no option "clip"',
  );
});
