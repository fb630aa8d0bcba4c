// SAEBench's absorption on SmolLM2, stage by stage against its own run: each stage gets the golden's input, so that a difference
// has one cause. Activations come from the GGUF, its own from float16 weights made of it; the SAE is stored as float16.
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  cosinesWith,
  projectionReading,
} from "../../server/analysis/absorption/projection-rule.ts";
import { ratesOf, spreadOf } from "../../server/analysis/absorption/summary.ts";
import {
  columnsOf,
  kSparseProbes,
  mainLatents,
  selectLatents,
} from "../../server/analysis/probes/k-sparse.ts";
import { columnOf, oneHot, probeLogits } from "../../server/analysis/probes/linear-probe.ts";
import { fitBinary } from "../../server/analysis/probes/logistic-regression.ts";
import {
  groundTruthRecipe,
  selectionRecipe,
  trainOneVsRest,
} from "../../server/analysis/probes/one-vs-rest.ts";
import { scoresOf } from "../../server/analysis/probes/scores.ts";
import { loadLm } from "../../server/lm/load.ts";
import type { LanguageModel } from "../../server/lm/language-model.ts";
import { Stream } from "../../server/lm/stream.ts";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { loadSae } from "../../server/sae/load.ts";
import { openSae, type Sae } from "../../server/sae/sae.ts";
import type { SparseActs } from "../../server/sae/sparse-acts.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { describeWith, shared } from "../parts.ts";
import { golden, readArrays, readFacts } from "./goldens.ts";

const folder = (name: string): string => shared("goldens/saebench", name);
const letters = "abcdefghijklmnopqrstuvwxyz";
const [d, nLabels, d_sae, maxK] = [576, 26, 9216, 10];

interface Word {
  letter: string;
  token: string;
  prompt: string;
  num_probe_true_positives: number;
  split_feats: number[];
  split_feat_acts: number[];
  projection_feats: number[];
  projection_feat_acts: number[];
  probe_projections: number[];
  absorption_fraction: number;
  is_full_absorption: boolean;
}

type KSparseRow = Record<string, number | number[]> & { f1_probe: number; split_feats: number[] };

describeWith(
  folder("absorption_probe_data.safetensors"),
  "probes on SAEBench's activations",
  () => {
    const array = readArrays(folder("absorption_probe_data.safetensors"));
    const ksparse = readFacts(
      folder("absorption_ksparse_smollm2-l9-w9216-k32.json"),
    ) as KSparseRow[];
    const probe = {
      kind: "one-vs-rest",
      nLabels,
      d,
      weights: array("probe_weight"),
      biases: array("probe_bias"),
    } as const;
    const [trainY, testY] = [oneHot(array("y_train"), nLabels), oneHot(array("y_test"), nLabels)];

    test("the golden probe's F1 by letter is SAEBench's", () => {
      for (const [label, f1] of f1Of(probe, array("X_test"), testY).entries())
        expect(f1, letters[label]).toBeCloseTo(ksparse[label]!.f1_probe, 6);
    });

    test("a probe trained by the recipe reaches the golden's mean F1", async () => {
      const rows = { kind: "dense", d, x: array("X_train") } as const;
      const own = await trainOneVsRest(rows, trainY, groundTruthRecipe);
      const f1 = mean(f1Of(own, array("X_test"), testY));
      const theirs = mean(ksparse.map((it) => it.f1_probe));
      console.log(`mean F1 of 26 letters: ours ${f1.toFixed(3)}, SAEBench ${theirs.toFixed(3)}`);
      // Torch's recipe with four seeds: 0.654, 0.661, 0.694, 0.680.
      expect(f1).toBeGreaterThan(theirs - 0.02);
      expect(f1).toBeLessThan(theirs + 0.06);
    });
  },
);

interface Report {
  eval_result_metrics: { mean: Record<string, number> };
  eval_result_details: {
    first_letter: string;
    mean_absorption_fraction: number;
    full_absorption_rate: number;
    num_full_absorption: number;
    num_probe_true_positives: number;
    num_split_features: number;
  }[];
}

describeWith(folder("absorption_out"), "SAEBench's report from the words' readings", () => {
  const words = readFacts(folder("absorption_words_smollm2-l9-w9216-k32.json")) as Word[];
  const report = readFacts(
    folder("absorption_out/smollm2-l9-w9216-k32_custom_sae_eval_results.json"),
  ) as Report;
  const ratesByLetter = new Map(
    report.eval_result_details.map(({ first_letter }) => {
      const own = words.filter(({ letter }) => letter === first_letter);
      const readings = own.map((word) => ({
        fraction: word.absorption_fraction,
        isFull: word.is_full_absorption,
        isPartial: false,
      }));
      return [first_letter, ratesOf(readings)];
    }),
  );

  test("by letter", () => {
    for (const wanted of report.eval_result_details) {
      const rates = ratesByLetter.get(wanted.first_letter)!;
      expect(rates.words).toBe(wanted.num_probe_true_positives);
      expect(rates.full).toBe(wanted.num_full_absorption);
      expect(rates.fullRate).toBeCloseTo(wanted.full_absorption_rate, 6);
      expect(rates.meanFraction).toBeCloseTo(wanted.mean_absorption_fraction, 6);
    }
  });

  test("over letters", () => {
    const rates = [...ratesByLetter.values()];
    const fractions = spreadOf(rates.map((it) => it.meanFraction));
    const full = spreadOf(rates.map((it) => it.fullRate));
    const wanted = report.eval_result_metrics.mean;
    expect(fractions.mean).toBeCloseTo(wanted["mean_absorption_fraction_score"]!, 6);
    expect(fractions.standardDeviation).toBeCloseTo(
      wanted["std_dev_absorption_fraction_score"]!,
      6,
    );
    expect(full.mean).toBeCloseTo(wanted["mean_full_absorption_score"]!, 6);
    expect(full.standardDeviation).toBeCloseTo(wanted["std_dev_full_absorption_score"]!, 6);
  });
});

const saePath = shared("models/saes/smollm2-l9-w9216-k32-f16");
describeWith(saePath, "k-sparse probes and absorption on SAEBench's activations", () => {
  const array = readArrays(folder("absorption_probe_data.safetensors"));
  const ksparse = readFacts(folder("absorption_ksparse_smollm2-l9-w9216-k32.json")) as KSparseRow[];
  const words = readFacts(folder("absorption_words_smollm2-l9-w9216-k32.json")) as Word[];
  const [trainY, testY] = [oneHot(array("y_train"), nLabels), oneHot(array("y_test"), nLabels)];
  const weights = array("probe_weight");
  let device: Device;
  let sae: Sae;
  let train: SparseActs;
  let held: SparseActs;
  beforeAll(async () => {
    ({ device } = await openDevice({ device: "cpu", threads: 2, memoryBudget: 4 * 2 ** 30 }));
    sae = await openSae(await loadSae(saePath, {}), device);
    train = await sae.encode(rowsOf(array("X_train")));
    held = await sae.encode(rowsOf(array("X_test")));
  });
  afterAll(async () => {
    await sae.release();
    await device.close();
  });

  test("on the golden's latents: F1 for every k, and the main latents that follow", () => {
    let [same, all, sameSplits] = [0, 0, 0];
    for (let label = 0; label < nLabels; label++) {
      const row = ksparse[label]!;
      const byK = Array.from({ length: maxK }, (_, i) => i + 1).map((k) => {
        const latents = row[`sparse_sae_k_${k}_feats`] as number[];
        const rows = { nRows: trainY.nRows, d: k, x: columnsOf(train, latents) };
        const fitted = fitBinary(rows, columnOf(trainY, label), { balanced: true });
        const x = columnsOf(held, latents);
        const z = Array.from({ length: testY.nRows }, (_, at) =>
          fitted.weights.reduce((sum, weight, i) => sum + weight * x[at * k + i]!, fitted.bias),
        );
        const scores = scoresOf(
          z.map((it) => it > 0),
          columnOf(testY, label),
        );
        all++;
        if (Math.abs(scores.f1 - (row[`f1_sparse_sae_${k}`] as number)) < 1e-6) same++;
        return { latents, scores };
      });
      if (String(mainLatents(byK)) === String(row.split_feats)) sameSplits++;
    }
    console.log(
      `F1 equal for ${same} of ${all} probes, main latents for ${sameSplits} of 26 letters`,
    );
    // What differs are test words at the boundary: scikit-learn stops before the minimum, and the SAE's f16 copy moves activations.
    expect(same).toBeGreaterThanOrEqual(0.95 * all);
    expect(sameSplits).toBeGreaterThanOrEqual(25);
  });

  test("selection from a start of zeros: torch's ten latents a letter, but for ties", async () => {
    const wanted = readFacts(golden("selection_from_zeros.json")) as {
      latents: number[][];
      weights: number[][];
    };
    const start = {
      kind: "one-vs-rest" as const,
      nLabels,
      d: d_sae,
      weights: new Float32Array(nLabels * d_sae),
      biases: new Float32Array(nLabels),
    };
    const rows = { kind: "sparse", d: d_sae, acts: train } as const;
    const own = await trainOneVsRest(rows, trainY, { ...selectionRecipe, start });
    let [same, ties] = [0, 0];
    for (let label = 0; label < nLabels; label++)
      for (const [rank, latent] of selectLatents(own, label, maxK).entries()) {
        if (latent === wanted.latents[label]![rank]) same++;
        else {
          const at = wanted.latents[label]!.indexOf(latent);
          const gap = Math.abs(wanted.weights[label]![rank]! - wanted.weights[label]![at]!);
          expect(gap, `letter ${letters[label]}, rank ${rank}`).toBeLessThan(1e-4);
          ties++;
        }
      }
    console.log(`${same} of 260 latents at torch's rank, ${ties} at a tie (weights within 1e-4)`);
  });

  test("selection from a random start hangs on the start, as torch's does", async () => {
    // These SAEs have no first-letter latents. Torch's recipe run with two seeds has 4 of 26 first latents in common and 2.4 of ten,
    // with SAEBench's run 1 to 4 and 2.5 to 3.0.
    const rows = { kind: "sparse", d: d_sae, acts: train } as const;
    const own = await trainOneVsRest(rows, trainY, selectionRecipe);
    let inTen = 0;
    for (let label = 0; label < nLabels; label++) {
      const theirs = ksparse[label]!["sparse_sae_k_10_feats"] as number[];
      inTen += selectLatents(own, label, maxK).filter((it) => theirs.includes(it)).length;
    }
    console.log(`of SAEBench's ten latents a letter we select ${(inTen / 26).toFixed(1)}`);
    expect(inTen / 26).toBeGreaterThan(2);
    const probes = kSparseProbes(selectLatents(own, 0, maxK), 0, {
      train: { acts: train, labels: trainY },
      test: { acts: held, labels: testY },
    });
    expect(probes.byK).toHaveLength(maxK);
    expect(probes.main.length).toBeGreaterThan(0);
  });

  describeWith(shared("models/smollm2"), "every word of every letter", () => {
    let lm: LanguageModel;
    const residuals = new Map<Word, Float32Array>();
    beforeAll(async () => {
      lm = await loadLm(shared("models/smollm2"), device);
      const stream = new Stream(lm);
      for (const word of words) {
        stream.setIds(lm.tokenizer.encode(word.prompt).ids.slice(0, -5));
        const kept = await stream.read([{ kind: "resid_post", layer: 9 }]);
        const x = kept.get("blocks.9.hook_resid_post")!.data as Float32Array;
        residuals.set(word, x.slice(-d));
      }
    }, 120_000);
    afterAll(() => lm.release());

    test("words are those the probe is right about; projections, fractions and full absorption", async () => {
      const x = Float32Array.from(words.flatMap((word) => [...residuals.get(word)!]));
      const acts = await sae.encode(rowsOf(x));
      const rows = sae.decoderRows(Array.from({ length: d_sae }, (_, i) => i));
      const directions = Array.from({ length: nLabels }, (_, label) =>
        weights.subarray(label * d, (label + 1) * d),
      );
      const cosines = directions.map((direction) => cosinesWith(rows, direction));
      let [sameFull, worstAct, worstFraction] = [0, 0, 0];
      for (const [at, word] of words.entries()) {
        const label = letters.indexOf(word.letter);
        const p = directions[label]!;
        const norm = Math.sqrt(p.reduce((sum, it) => sum + it * it, 0));
        const range = [acts.offsets[at]!, acts.offsets[at + 1]!] as const;
        const active = {
          latents: acts.latents.subarray(...range),
          acts: acts.acts.subarray(...range),
        };
        const projection = residuals.get(word)!.reduce((sum, it, i) => sum + it * p[i]!, 0) / norm;
        const found = projectionReading(active, {
          cosines: cosines[label]!,
          main: word.split_feats,
          projection,
        });
        for (const [rank, latent] of word.projection_feats.entries()) {
          const theirs = word.projection_feat_acts[rank]!;
          const own = active.acts[active.latents.indexOf(latent)] ?? 0;
          worstAct = Math.max(worstAct, Math.abs(own - theirs) / Math.max(1, theirs));
        }
        worstFraction = Math.max(
          worstFraction,
          Math.abs(found.fraction - word.absorption_fraction),
        );
        if (found.isFull === word.is_full_absorption) sameFull++;
      }
      console.log(
        `full absorption equal for ${sameFull} of ${words.length} words; largest difference of fractions ${worstFraction.toFixed(4)}, of activations ${(100 * worstAct).toFixed(2)} %`,
      );
      expect(sameFull).toBe(words.length);
      expect(worstFraction).toBeLessThan(0.01);
    });
  });

  test("the golden probe's true positives are the golden's words", () => {
    const logits = probeLogits(
      { kind: "one-vs-rest", nLabels, d, weights, biases: array("probe_bias") },
      array("X_test"),
    );
    for (const [label, letter] of Array.from(letters).entries()) {
      const right = Array.from({ length: testY.nRows }, (_, row) => row).filter(
        (row) => testY.values[row * nLabels + label] === 1 && logits[row * nLabels + label]! > 0,
      );
      const own = words.filter((word) => word.letter === letter);
      expect(own).toHaveLength(right.length);
      for (const word of own) expect(word.num_probe_true_positives).toBe(right.length);
    }
  });
});

function rowsOf(x: Float32Array) {
  return tensor("float32", [x.length / d, d], x);
}

function f1Of(
  probe: Parameters<typeof probeLogits>[0],
  x: Float32Array,
  labels: ReturnType<typeof oneHot>,
): number[] {
  const logits = probeLogits(probe, x);
  return Array.from({ length: nLabels }, (_, label) => {
    const yes = Array.from(
      { length: labels.nRows },
      (_it, row) => logits[row * nLabels + label]! > 0,
    );
    return scoresOf(yes, columnOf(labels, label)).f1;
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, it) => sum + it, 0) / values.length;
}
