/** The bundled SAEs against activations that SAELens 6.54 computed, and their self-checks. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { loadSae } from "../../server/sae/load.ts";
import { openSae, type Sae } from "../../server/sae/sae.ts";
import { checkMetaSae, checkSae } from "../../server/sae/self-check.ts";
import type { Tensor } from "../../server/tensor/tensor.ts";
import { repoRoot } from "../parts.ts";
import { readTensors, rows } from "./golden-files.ts";
import { testDeviceName } from "../test-device.ts";

/** goldens.json: absolute tolerance of activations; latents this near to another or to the threshold may swap. */
const tolerance = 1e-3;
const prompts = 5;

let device: Device;

beforeAll(async () => {
  ({ device } = await openDevice({ device: testDeviceName, threads: 2, memoryBudget: 2 ** 30 }));
});

afterAll(() => device.close());

const open = async (name: string): Promise<Sae> =>
  openSae(await loadSae(join(repoRoot, "demo/saes", name)), device);

const golden = (name: string): Map<string, Tensor> =>
  readTensors(join(repoRoot, "test/golden/demo", name));

describe("demo SAEs", () => {
  test.each([
    ["resid2-1024", "goldens"],
    ["resid2-6144", "goldens"],
    ["resid2-6144-k2", "goldens-k2"],
  ])("%s agrees with SAELens on five prompts", async (name, file) => {
    const wanted = golden(`${file}.safetensors`);
    const facts = JSON.parse(
      readFileSync(join(repoRoot, "test/golden/demo", `${file}.json`), "utf8"),
    ) as { prompts: Record<string, number[]>[] };
    const sae = await open(name);
    for (let prompt = 0; prompt < prompts; prompt++) {
      const { offsets, latents, acts } = await sae.encode(rows(wanted, `${prompt}.resid_post`));
      const counts = facts.prompts[prompt]?.[`${name} active per token`];
      const values = rows(wanted, `${prompt}.${name}.values`);
      const ids = wanted.get(`${prompt}.${name}.latents`)!.data as Int32Array;
      for (let token = 0; token < values.dims[0]!; token++) {
        const from = offsets[token]!;
        const n = offsets[token + 1]! - from;
        if (counts) expect(n, `active at ${prompt}:${token}`).toBe(counts[token]);
        for (let rank = 0; rank < 10; rank++) {
          const at = token * 10 + rank;
          const act = rank < n ? acts[from + rank]! : 0;
          expect(Math.abs(act - values.data[at]!), `${prompt}:${token}:${rank}`).toBeLessThan(
            tolerance,
          );
          const [before = Infinity, after = -Infinity] = [values.data[at - 1], values.data[at + 1]];
          const alone = Math.min(before - act, act - after) > tolerance;
          if (act > 0 && alone && rank > 0 && rank < 9) expect(latents[from + rank]).toBe(ids[at]);
        }
      }
    }
    await sae.release();
  });

  test("labels lie beside the weights", async () => {
    const { labels, config, badges } = await loadSae(join(repoRoot, "demo/saes/resid2-6144"));
    expect(labels[17]).toMatch(/compass direction/);
    expect(config.prependBos).toBe(true);
    expect(config.declared).toMatchObject({ k: 16, trained_as: "batchtopk" });
    expect(badges).toEqual([]);
  });

  test("self-check leaves position 0 out and agrees with the declared L0", async () => {
    const wanted = golden("goldens.safetensors");
    const sae = await open("resid2-6144");
    const windows = Array.from({ length: prompts }, (_, prompt) => ({
      x: rows(wanted, `${prompt}.resid_post`),
    }));
    const check = await checkSae(sae, { windows, hasBos: true });
    const nRows = windows.reduce((sum, { x }) => sum + x.dims[0]!, 0);
    expect(check.tokens).toBe(nRows - prompts);
    expect(check).toMatchObject(
      await byHand(
        sae,
        windows.map(({ x }) => x),
      ),
    );
    expect(check.fvu).toBeGreaterThan(0.05);
    expect(check.fvu).toBeLessThan(0.25);
    // BOS has a residual of norm 599 that the SAE never saw.
    expect(check.fvuWithBos).not.toBeCloseTo(check.fvu, 2);
    expect(check.maxActivation).toHaveLength(6144);
    await sae.release();
  });

  test("a wrong scale is reported", async () => {
    const x = rows(golden("goldens.safetensors"), "0.resid_post");
    const sae = await open("resid2-6144");
    const large = { ...x, data: x.data.map((value) => value * 5) };
    const { warnings } = await checkSae(sae, { windows: [{ x: large }] });
    expect(warnings.join("\n")).toMatch(/measured L0 is \d+, declared k 16/);
    const other = { ...x, data: x.data.toReversed() };
    const reversed = await checkSae(sae, { windows: [{ x: other }] });
    expect(reversed.warnings.join("\n")).toMatch(/FVU is \d/);
    await sae.release();
  });

  test("a meta-SAE is checked on its parent's unit rows beside shuffled ones", async () => {
    const [meta, parent] = [await open("meta-512"), await open("resid2-6144")];
    expect(meta.config.metaOf).toBe("resid2-6144");
    expect(meta.badges).toEqual(["meta-SAE"]);
    const check = await checkMetaSae(meta, parent);
    expect(check.tokens).toBe(6144);
    // The README's figures: explained variance 0.424 on the centred rows, L0 4.0, none dead.
    expect(check.l0).toBeCloseTo(4, 1);
    expect(1 - check.fvu).toBeCloseTo(0.424, 1);
    expect(check.deadShare).toBe(0);
    expect(check.shuffledFvu).toBeGreaterThan(check.fvu + 0.2);
    expect(check.warnings).toEqual([]);
    const again = await checkMetaSae(meta, parent);
    expect(again.shuffledFvu).toBe(check.shuffledFvu);
    const narrow = await open("resid2-1024");
    expect((await checkMetaSae(meta, narrow)).fvu).toBeGreaterThan(check.fvu);
    for (const sae of [meta, parent, narrow]) await sae.release();
  });

  test("a check stops when cancelled", async () => {
    const sae = await open("resid2-1024");
    const x = rows(golden("goldens.safetensors"), "0.resid_post");
    const controller = new AbortController();
    let steps = 0;
    const checking = checkSae(
      sae,
      { windows: [{ x }, { x }, { x }] },
      (job) => {
        if (++steps === 2) controller.abort();
        return job();
      },
      controller.signal,
    );
    await expect(checking).rejects.toThrow(/abort/i);
    expect(steps).toBe(2);
    await sae.release();
  });
});

/** The definitions of `SelfCheck`, spelled out over dense arrays. */
async function byHand(sae: Sae, inputs: Tensor<"float32">[]): Promise<Record<string, unknown>> {
  const { d_in, d_sae } = sae.config;
  const fired = new Set<number>();
  let [active, error, n] = [0, 0, 0];
  const kept: Float32Array[] = [];
  for (const x of inputs) {
    const dense = await sae.encodeDense(x);
    const x_hat = await sae.decode(await sae.encode(x), x);
    for (let token = 1; token < x.dims[0]!; token++) {
      n++;
      kept.push(x.data.subarray(token * d_in, (token + 1) * d_in));
      for (let latent = 0; latent < d_sae; latent++) {
        if (dense.data[token * d_sae + latent] === 0) continue;
        active++;
        fired.add(latent);
      }
      for (let at = token * d_in; at < (token + 1) * d_in; at++)
        error += (x.data[at]! - x_hat.data[at]!) ** 2;
    }
  }
  let variance = 0;
  for (let d = 0; d < d_in; d++) {
    const mean = kept.reduce((sum, row) => sum + row[d]!, 0) / n;
    variance += kept.reduce((sum, row) => sum + (row[d]! - mean) ** 2, 0);
  }
  return {
    l0: active / n,
    deadShare: 1 - fired.size / d_sae,
    fvu: expect.closeTo(error / variance, 6) as number,
  };
}
