/** Stitching: latents that stand alone, exactness at both ends of the path, planted novel latents. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cosinesBetween, decoderDirections } from "../../server/analysis/cosines.ts";
import { atOnce } from "../../server/analysis/pace.ts";
import { componentsOf } from "../../server/analysis/stitching/components.ts";
import { Composition, type EncodedWindow } from "../../server/analysis/stitching/composition.ts";
import { agreementOf, insertionEffects } from "../../server/analysis/stitching/effects.ts";
import { measureFit, novelLatents, pathSteps } from "../../server/analysis/stitching/path.ts";
import {
  describeSelfContained,
  selfContained,
} from "../../server/analysis/stitching/self-contained.ts";
import { splicedLoss } from "../../server/analysis/stitching/spliced-loss.ts";
import type { Engine } from "../../server/engine/engine.ts";
import { readWindow } from "../../server/engine/stitching/sample.ts";
import { cosineRule } from "../../server/protocol/stitching.ts";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { loadSae } from "../../server/sae/load.ts";
import { openSae, type Sae } from "../../server/sae/sae.ts";
import type { Tensor } from "../../server/tensor/tensor.ts";
import { demoLm, demoSae, openEngine } from "../engine/engine.ts";
import { seeded } from "../random.ts";
import { expectRows, goldenFolder, readTensors, rows } from "../sae/golden-files.ts";
import { filled } from "../sae/made-saes.ts";
import { rowsOf, toySae, unit, unitDirections } from "./toy-saes.ts";

let device: Device;
beforeAll(async () => {
  ({ device } = await openDevice({ device: "cpu", threads: 2, memoryBudget: 2 ** 31 }));
});
afterAll(() => device.close());

const hook = "blocks.9.hook_resid_post";

describe("latents taken out of their SAE", () => {
  test.each([
    ["sae-lens/standard/plain", {}],
    ["sae-lens/standard/no_b_dec_in", {}],
    ["sae-lens/jumprelu/plain", {}],
    ["sae-lens/gated/plain", {}],
    ["sae-lens/batchtopk/inference_rescaled", {}],
    ["sae-lens/matryoshka_batchtopk/inference", {}],
    ["dictionary-learning/jumprelu_JumpReluAutoEncoder", { hook }],
    ["dictionary-learning/gated_GatedAutoEncoder", { hook }],
    ["sae-bench/batchtopk", { hook }],
  ])("%s does what the library's SAE does", async (golden, facts) => {
    const sae = await openSae(await loadSae(goldenFolder(golden), { facts }), device);
    const x = rows(readTensors(join(goldenFolder(golden), "golden.safetensors")), "x");
    await checkAlone(sae, x);
    await sae.release();
  });

  test("input scaling and decoder norms that a format keeps apart are folded", async () => {
    const W_dec = unitDirections(6, 4, 2).map((row, at) => row.map((it) => it * (1 + at)));
    const sae = await toySae(
      device,
      { W_dec, b_enc: [0.1, -0.2, 0.3, 0, 0, 0], b_dec: [0.5, -1, 2, 0.1] },
      {
        architecture: "standard",
        normalize_activations: "constant_scalar_rescale",
        activation_normalization_factor: 0.37,
        rescale_acts_by_decoder_norm: true,
      },
    );
    await checkAlone(sae, filled([40, 4], 1.7));
    await sae.release();
  });

  test("TopK gets a measured threshold, or is refused without a sample", async () => {
    const { sae, x } = await golden("sae-lens/topk/plain");
    await expect(selfContained({ id: "t", sae })).rejects.toThrow(
      "t is a TopK SAE: its latents' threshold is measured on a text",
    );
    const parts = await selfContained({ id: "t", sae }, x);
    const { acts, offsets } = await sae.encode(x);
    const smallest = Array.from(offsets.slice(1), (end) => acts[end - 1]!);
    expect(parts.threshold[0]).toBeCloseTo(
      smallest.reduce((sum, it) => sum + it, 0) / smallest.length,
      5,
    );
    expect(parts.notes.join()).toContain("keeps the k largest");
    await sae.release();
  });

  test.each([
    ["sae-lens/abstopk/plain", "in the architecture abstopk a latent's activation depends"],
    ["sae-lens/matching_pursuit/plain", "in the architecture matching_pursuit"],
    ["sae-lens/transcoder/plain", "it predicts another hook point than it reads"],
    ["sae-lens/standard/layer_norm", "its input is normalised token by token (layer_norm)"],
  ])("%s is refused", async (folder, reason) => {
    const { sae, x } = await golden(folder);
    await expect(selfContained({ id: "a", sae }, x)).rejects.toThrow(
      `latents of a cannot be put into another SAE: ${reason}`,
    );
    await sae.release();
  });
});

/** The self-contained form encodes and decodes as the SAE itself. */
async function checkAlone(sae: Sae, x: Tensor<"float32">): Promise<void> {
  const parts = await selfContained({ id: "it", sae });
  const alone = await openSae(describeSelfContained("alone", sae.config, parts), device);
  const [acts, own] = [await sae.encode(x), await alone.encode(x)];
  expect(acts.latents.length).toBeGreaterThan(0);
  expect(own.latents.length).toBe(acts.latents.length);
  expectRows(await alone.encodeDense(x), await sae.encodeDense(x), 1e-4, "activations");
  expectRows(await alone.decode(own, x), await sae.decode(acts, x), 1e-4, "reconstruction");
  await alone.release();
}

describe("a toy with planted novel latents", () => {
  // Sixteen atoms; the narrow SAE knows the first eight, the wide one all: atom 0 twice (split), the others once.
  const [nAtoms, d, known] = [16, 64, 8];
  const atoms = unitDirections(nAtoms, d, 7);
  const tilted = (atom: number, amount: number, seed: number): number[] => {
    const noise = unitDirections(1, d, seed)[0]!;
    return unit(atoms[atom]!.map((value, at) => value + amount * noise[at]!));
  };
  const wideRows = [
    tilted(0, 0.5, 31),
    tilted(0, 0.5, 32),
    ...atoms.slice(1).map((_, at) => tilted(at + 1, 0.1, 50 + at)),
  ];

  test("the effect finds them, the cosine rule agrees, and the path ends at the wide SAE", async () => {
    const narrow = await toySae(device, { W_dec: atoms.slice(0, known), ...sharp(known) });
    const wide = await toySae(device, { W_dec: wideRows, ...sharp(wideRows.length) });
    const random = seeded(11);
    const x = Array.from({ length: 400 }, () => {
      const row = Array.from({ length: d }, () => 0);
      for (let part = 0; part < 2; part++) {
        const atom = atoms[Math.floor(random() * nAtoms)]!;
        const strength = 1 + random();
        for (let at = 0; at < d; at++) row[at]! += strength * atom[at]!;
      }
      return row;
    });
    const pair = {
      narrow: await selfContained({ id: "narrow", sae: narrow }),
      wide: await selfContained({ id: "wide", sae: wide }),
    };
    const windows = [await encoded(rowsOf(x), narrow, wide)];
    const cosines = await cosinesBetween(decoderDirections(wide), decoderDirections(narrow), {
      device,
      threshold: cosineRule,
      pace: atOnce,
    });
    const base = new Composition(pair);
    const effects = insertionEffects(base, windows);

    // Each effect is what measuring with and without the latent gives.
    const before = measureFit(base, windows).mse;
    for (const latent of [0, 1, 5, 12]) {
      const one = new Composition(pair);
      one.insert([latent]);
      expect(effects.deltaMse[latent]).toBeCloseTo(measureFit(one, windows).mse - before, 5);
    }

    const planted = wideRows.flatMap((_, latent) => (latent > known ? [latent] : []));
    for (const rule of ["cosine", "effect"] as const)
      expect(novelLatents(cosines.best, rule, effects).toSorted((a, b) => a - b)).toEqual(planted);
    const judged = [...cosines.best].map((cosine, latent) => ({
      cosine,
      delta: effects.deltaMse[latent]!,
    }));
    expect(agreementOf(judged)).toMatchObject({ latents: 17, bothNovel: 8, agreement: 1, auc: 1 });

    const components = componentsOf(cosines, known);
    expect(components).toHaveLength(known);
    expect(components.find((it) => it.narrow.includes(0))?.wide).toEqual([0, 1]);

    const path = pathSteps(novelLatents(cosines.best, "effect", effects), components, {
      pieces: 8,
      fired: effects.fired,
    });
    const walked = new Composition(pair);
    const errors = path.map(({ phase, apply }) => {
      apply(walked);
      return { phase, mse: measureFit(walked, windows).mse };
    });
    const inserted = errors.filter(({ phase }) => phase !== "swap" && phase !== "rest");
    for (const [at, { mse }] of inserted.entries())
      if (at > 0) expect(mse).toBeLessThan(inserted[at - 1]!.mse);
    expect(walked.origins.every(({ from }) => from === "wide")).toBe(true);
    const x_hat = await wide.decode(await wide.encode(rowsOf(x)));
    const wideMse =
      x_hat.data
        .slice(d)
        .reduce((sum, it, at) => sum + (it - x[1 + Math.floor(at / d)]![at % d]!) ** 2, 0) / 399;
    expect(errors.at(-1)?.mse).toBeCloseTo(wideMse, 4);
    await narrow.release();
    await wide.release();
  });
});

test("agreement of rules that say nothing alike", () => {
  const found = agreementOf([
    { cosine: 0.9, delta: -1 },
    { cosine: 0.1, delta: 1 },
  ]);
  expect(found).toMatchObject({ agreement: 0, auc: 0, novelByCosineOnly: 1, novelByEffectOnly: 1 });
  expect(agreementOf([{ cosine: 0.1, delta: -1 }])).toMatchObject({ agreement: 1, auc: null });
});

describe("the demo's pair", () => {
  let engine: Engine;
  let folder: string;
  const ids = { lm: "demo/lm", narrow: "resid2-1024", wide: "resid2-6144" };
  const params = {
    ...ids,
    files: [],
    tokens: 200,
    rule: "effect" as const,
    ceLatents: 3,
    points: 2,
  };

  beforeAll(async () => {
    engine = await openEngine();
    folder = mkdtempSync(join(tmpdir(), "latent-workbench-"));
    await engine.loadLm({ path: demoLm });
    for (const name of [ids.narrow, ids.wide]) await engine.loadSae({ path: demoSae(name) });
  });
  afterAll(async () => {
    await engine.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const write = (
    name: string,
    choice: Pick<Parameters<Engine["writeStitched"]>[0], "insert" | "swap">,
  ) => engine.writeStitched({ ...params, ...choice, folder: join(folder, name) });

  test("inserting nothing gives the narrow SAE's outputs, swapping everything the wide one's", async () => {
    const lm = engine.loaded.lm(ids.lm);
    const sequence = Int32Array.from(lm.tokenizer.encode("The water in the river is cold.").ids);
    const { x } = await readWindow(
      lm,
      engine.loaded.sae(ids.wide).hook,
      Int32Array.of(0, ...sequence),
    );
    for (const [name, choice] of [
      [ids.narrow, { insert: "none", swap: "none" }],
      [ids.wide, { insert: "none", swap: "everything" }],
    ] as const) {
      const { d_sae } = await write(name, choice);
      const stitched = await engine.loadSae({ path: join(folder, name), id: `like-${name}` });
      expect(stitched).toMatchObject({ d_sae, hook: "blocks.2.hook_resid_post", badges: [] });
      expect(stitched.labels).toEqual(engine.loaded.sae(name).info.labels);
      const [wanted, found] = [engine.loaded.sae(name).sae, engine.loaded.sae(stitched.id).sae];
      const acts = await wanted.encode(x);
      const x_hat = await found.decode(await found.encode(x), x);
      expectRows(x_hat, await wanted.decode(acts, x), 1e-4, name);
    }
  });

  test("a report, and a stitched SAE that gives the figures of its place on the path", async () => {
    const report = await engine.stitch(params);
    expect(report.tokens).toBe(200);
    expect(report.path.map(({ phase }) => phase)).toEqual([
      "start",
      "insert",
      "insert",
      "swap",
      "swap",
      "rest",
    ]);
    const [start] = report.path;
    const end = report.path.at(-1);
    expect(end?.mse).toBeLessThan(start!.mse);
    expect(start!.ce).toBeGreaterThan(report.cleanCe!);
    expect(end).toMatchObject({ inserted: 6144, removed: 1024 });
    expect(report.latents.deltaCe.filter((it) => !Number.isNaN(it))).toHaveLength(3);
    expect(engine.stitchProgress().share).toBe(1);

    const { fit, inserted } = await write("novel", { insert: "novel", swap: "none" });
    const after = report.path.findLast(({ phase }) => phase === "insert");
    expect({ ...fit, inserted }).toEqual({
      mse: after?.mse,
      fvu: after?.fvu,
      l0: after?.l0,
      ce: after?.ce,
      inserted: after?.inserted,
    });
    const origins = JSON.parse(readFileSync(join(folder, "novel/stitched.json"), "utf8")) as {
      wide: { latents: number[] };
    };
    expect(origins.wide.latents).toHaveLength(inserted);

    await expect(write("novel", { insert: "novel", swap: "none" })).rejects.toThrow("is not empty");
    await expect(write("x", { insert: [6144], swap: "none" })).rejects.toThrow(
      "latent 6144 of resid2-6144 does not exist: its latents go from 0 to 6143",
    );
    const alone = report.latents.component.indexOf(-1);
    await expect(write("x", { insert: "none", swap: [alone] })).rejects.toThrow(
      "has no narrow counterpart",
    );
  });

  test("a cancelled measurement leaves nothing in the way of the next", async () => {
    const controller = new AbortController();
    const running = engine.stitch({ ...params, tokens: 400 }, controller.signal);
    controller.abort();
    await expect(running).rejects.toThrow();
    await engine.stitch({ ...params, tokens: 400, ceLatents: 0, points: 1 });
  });

  test.each([[{ narrow: ids.wide, wide: ids.wide }, "it is one and the same"]])(
    "refused: %o",
    async (pair, reason) => {
      await expect(engine.stitch({ ...params, ...pair })).rejects.toThrow(reason);
    },
  );

  test("splicing x itself in changes nothing", async () => {
    const lm = engine.loaded.lm(ids.lm);
    const text = Int32Array.of(0, ...lm.tokenizer.encode("The water in the river is cold.").ids);
    for (const place of [
      { kind: "resid_pre", layer: 1 },
      { kind: "resid_post", layer: 3 },
      { kind: "mlp_out", layer: 1 },
    ] as const) {
      const window = await readWindow(lm, place, text);
      const layer = place.kind === "resid_pre" ? 1 : place.layer + 1;
      const entry = { layer, resid: place };
      const clean = await splicedLoss(lm, window, { entry, x_hat: undefined });
      const same = await splicedLoss(lm, window, { entry, x_hat: window.x.data });
      const zero = await splicedLoss(lm, window, {
        entry,
        x_hat: new Float32Array(window.x.data.length),
      });
      const { nextTokenLoss } = await engine.predictions({
        stream: "splice",
        lm: ids.lm,
        context: {
          kind: "plain",
          parts: [{ text: "The water in the river is cold.", fileStart: 0 }],
        },
        prependBos: true,
        k: 1,
      });
      const wanted = nextTokenLoss.slice(1, -1);
      expect(clean).toBeCloseTo(wanted.reduce((sum, it) => sum + it, 0) / wanted.length, 4);
      expect(same).toBeCloseTo(clean, 6);
      expect(zero).toBeGreaterThan(clean);
    }
  });
});

/** Thresholds and biases under which a latent fires on its own atom and not on others. */
function sharp(n: number): { threshold: number[]; b_enc: number[] } {
  return {
    threshold: Array.from({ length: n }, () => 0.75),
    b_enc: Array.from({ length: n }, () => 0),
  };
}

async function encoded(x: Tensor<"float32">, narrow: Sae, wide: Sae): Promise<EncodedWindow> {
  return {
    ids: new Int32Array(x.dims[0]!),
    x,
    narrow: await narrow.encode(x),
    wide: await wide.encode(x),
  };
}

async function golden(folder: string): Promise<{ sae: Sae; x: Tensor<"float32"> }> {
  const sae = await openSae(await loadSae(goldenFolder(folder)), device);
  return { sae, x: rows(readTensors(join(goldenFolder(folder), "golden.safetensors")), "x") };
}
