/** One SAE on the rows of a task: k-sparse probes, main latents, absorption of every word. */
import {
  cosinesWith,
  type LatentProjection,
  projectionReading,
  projectionRule,
} from "../../analysis/absorption/projection-rule.ts";
import { minProbeF1, ratesOf, spreadOf } from "../../analysis/absorption/summary.ts";
import {
  differingLatents,
  kSparseProbes,
  selectLatents,
  splitThreshold,
} from "../../analysis/probes/k-sparse.ts";
import { columnOf, dot, probeProbabilities } from "../../analysis/probes/linear-probe.ts";
import { selectionRecipe, trainOneVsRest } from "../../analysis/probes/one-vs-rest.ts";
import {
  areaUnderCurve,
  calibrationOf,
  type Scores,
  scoresOf,
} from "../../analysis/probes/scores.ts";
import type {
  AbsorberReport,
  AbsorptionReport,
  AnswerScores,
  LabelReport,
  WordReport,
} from "../../protocol/absorption.ts";
import type { Sae, SparseActs } from "../../sae/sae.ts";
import { tensor } from "../../tensor/tensor.ts";
import type { LoadedSae } from "../loaded.ts";
import type { ProbeStage } from "./word-activations.ts";
import type { WordPlan, WordRows, Work } from "./word-plan.ts";

/** Latents whose decoder rows are read at a time. */
const decoderPiece = 4096;
/** Latents shown of a word, and words of an absorber. */
const [shownLatents, shownWords] = [3, 50];

/** Everything that is fixed, for reports and tooltips. */
export const thresholds = {
  fullCosine: projectionRule.fullCosine,
  absorberCosine: projectionRule.absorberCosine,
  projectionShare: projectionRule.share,
  maxAbsorbers: projectionRule.maxAbsorbers,
  f1Jump: splitThreshold,
  minProbeF1,
} as const;

/** What a stage's rows are under an SAE. */
interface Encoded {
  readonly train: SparseActs;
  readonly test: SparseActs;
  readonly judged: SparseActs;
}

/** Measures an SAE. */
export async function measureSae(
  plan: WordPlan,
  stage: ProbeStage,
  { sae, id, info }: LoadedSae,
  work: Work,
): Promise<AbsorptionReport> {
  const { step, onProgress, signal } = work;
  const encode = async ({ x }: WordRows, share: number): Promise<SparseActs> => {
    onProgress(`${id}: encoding`, share);
    return step(() => sae.encode(tensor("float32", [x.length / stage.d, stage.d], x), signal));
  };
  const acts: Encoded = {
    train: await encode(stage.train, 0.1),
    test: await encode(stage.test, 0.2),
    judged: await encode(stage.judged, 0.3),
  };
  const ordered = await selection({ plan, stage, acts, d_sae: info.d_sae, id }, work);
  const cosines = await directionCosines(sae, stage, step);
  const labels: LabelReport[] = [];
  const { nLabels } = stage.probe;
  for (let label = 0; label < nLabels; label++) {
    signal?.throwIfAborted();
    onProgress(`${id}: label ${plan.task.labels[label]}`, 0.7 + (0.3 * label) / nLabels);
    await new Promise((resolve) => setImmediate(resolve));
    if (!isLearnable(stage, label)) continue;
    const probes = kSparseProbes(ordered(label), label, {
      train: { acts: acts.train, labels: stage.train.labels },
      test: { acts: acts.test, labels: stage.test.labels },
    });
    labels.push(
      labelReport(
        { plan, stage, acts, label, cosines: cosines[label]! },
        {
          main: probes.main,
          f1ByK: probes.byK.map((it) => it.scores.f1),
          mainProbe: probes.byK[probes.main.length - 1]!.scores,
        },
      ),
    );
  }
  return {
    schemaVersion: 1,
    lm: plan.lm.id,
    sae: id,
    hook: info.hook,
    d_sae: info.d_sae,
    l0: acts.test.latents.length / stage.test.words.length,
    task: plan.task.name,
    setting: plan.setting,
    rule: "sae-bench",
    probe: plan.probe,
    selection: plan.selection,
    thresholds,
    seed: plan.seed,
    judge: plan.judge,
    trainWords: stage.train.words.length,
    testWords: stage.test.words.length,
    mean: meanOf(labels),
    labels,
    problems: problemsOf(plan, labels),
  };
}

/** The latents of each label in the order in which k-sparse probes take them. */
async function selection(
  {
    plan,
    stage,
    acts,
    d_sae,
    id,
  }: { plan: WordPlan; stage: ProbeStage; acts: Encoded; d_sae: number; id: string },
  { onProgress, signal }: Work,
): Promise<(label: number) => number[]> {
  const k = Math.min(plan.maxK, d_sae);
  const train = { acts: acts.train, labels: stage.train.labels };
  if (plan.selection === "mean-difference")
    return (label) => differingLatents(train, label, { d_sae, k });
  const rows = { kind: "sparse", d: d_sae, acts: acts.train } as const;
  const selecting = await trainOneVsRest(rows, stage.train.labels, {
    ...selectionRecipe,
    seed: plan.seed,
    signal,
    onEpoch: async (epoch, epochs) => {
      const share = 0.3 + (0.4 * epoch) / epochs;
      onProgress(`${id}: selecting latents, epoch ${epoch} of ${epochs}`, share);
      await new Promise((resolve) => setImmediate(resolve));
    },
  });
  return (label) => selectLatents(selecting, label, k);
}

/** A label needs words on both sides, in training and in test. */
function isLearnable({ train, test }: ProbeStage, label: number): boolean {
  return [train.labels, test.labels].every((labels) => {
    const positives = columnOf(labels, label).reduce((sum, it) => sum + it, 0);
    return positives > 0 && positives < labels.nRows;
  });
}

/** Cosines of every decoder row with every direction. `[labels][d_sae]` */
export async function directionCosines(
  sae: Sae,
  { probe, d }: Pick<ProbeStage, "probe" | "d">,
  step: Work["step"],
): Promise<Float32Array[]> {
  const { d_sae } = sae.config;
  const cosines = Array.from({ length: probe.nLabels }, () => new Float32Array(d_sae));
  for (let from = 0; from < d_sae; from += decoderPiece) {
    const latents = Array.from(
      { length: Math.min(decoderPiece, d_sae - from) },
      (_, i) => from + i,
    );
    await step(() => {
      const rows = sae.decoderRows(latents);
      for (const [label, into] of cosines.entries())
        into.set(cosinesWith(rows, probe.weights.subarray(label * d, (label + 1) * d)), from);
      return Promise.resolve();
    });
  }
  return cosines;
}

interface LabelPlace {
  readonly plan: WordPlan;
  readonly stage: ProbeStage;
  readonly acts: Encoded;
  readonly label: number;
  readonly cosines: Float32Array;
}

function labelReport(
  { plan, stage, acts, label, cosines }: LabelPlace,
  found: { main: readonly number[]; f1ByK: readonly number[]; mainProbe: Scores },
): LabelReport {
  const { test, train, probe } = stage;
  const truth = columnOf(test.labels, label);
  const probabilities = labelColumn(probeProbabilities(probe, test.x), probe.nLabels, label);
  const probeSays = Uint8Array.from(probabilities, (p) => (p > 0.5 ? 1 : 0));
  const fires = mainFires(acts.test, found.main);
  const probeScores = scoresOf(probeSays, truth);
  const words = wordReports({ plan, stage, acts, label, cosines }, found.main);
  const rates = ratesOf(words);
  return {
    label: plan.task.labels[label] ?? "",
    trainWords: columnOf(train.labels, label).reduce((sum, it) => sum + it, 0),
    testWords: truth.reduce((sum, it) => sum + it, 0),
    probe: {
      ...answer(probeScores),
      auc: areaUnderCurve(probabilities, truth),
      calibrationError: calibrationOf(probabilities, truth).error,
    },
    f1ByK: found.f1ByK,
    main: found.main.map((latent) => ({ latent, cosine: cosines[latent]! })),
    mainProbe: answer(found.mainProbe),
    mainFires: answer(scoresOf(fires, truth)),
    mainFiresAgainstProbe: answer(scoresOf(fires, probeSays)),
    probeCounts: probeScores.f1 > minProbeF1,
    hasMainLatents: found.mainProbe.f1 >= minProbeF1,
    full: rates.full,
    partial: rates.partial,
    fullRate: rates.fullRate,
    partialRate: rates.partialRate,
    meanFraction: rates.meanFraction,
    absorbers: absorbersOf(words, found.main),
    words,
  };
}

function answer({ precision, recall, f1 }: Scores): AnswerScores {
  return { precision, recall, f1 };
}

function labelColumn(rows: Float32Array, nLabels: number, label: number): number[] {
  return Array.from({ length: rows.length / nLabels }, (_, row) => rows[row * nLabels + label]!);
}

function mainFires({ offsets, latents }: SparseActs, main: readonly number[]): boolean[] {
  return Array.from({ length: offsets.length - 1 }, (_, row) =>
    main.some((latent) => latents.subarray(offsets[row], offsets[row + 1]).includes(latent)),
  );
}

/** The judged words that have the label and that the probe was right about when they were read first. */
function wordReports(
  { stage, acts, label, cosines }: LabelPlace,
  main: readonly number[],
): WordReport[] {
  const { judged, train, test, probe, d } = stage;
  const direction = probe.weights.subarray(label * d, (label + 1) * d);
  const norm = Math.sqrt(dot(direction, 0, { b: direction, bAt: 0, n: d })) || 1;
  const rightIds = new Set<number>();
  for (const { words, x } of [train, test]) {
    const probabilities = labelColumn(probeProbabilities(probe, x), probe.nLabels, label);
    for (const [row, { id }] of words.entries()) if (probabilities[row]! > 0.5) rightIds.add(id);
  }
  const reports: WordReport[] = [];
  for (const [row, word] of judged.words.entries()) {
    if (!word.labels.includes(label) || !rightIds.has(word.id)) continue;
    const range = [acts.judged.offsets[row]!, acts.judged.offsets[row + 1]!] as const;
    const reading = projectionReading(
      {
        latents: acts.judged.latents.subarray(...range),
        acts: acts.judged.acts.subarray(...range),
      },
      {
        cosines,
        main,
        projection: dot(judged.x, row * d, { b: direction, bAt: 0, n: d }) / norm,
        top: shownLatents,
      },
    );
    const { absorbers: _, ...rest } = reading;
    reports.push({ word: word.text, ...rest });
  }
  return reports;
}

/** Of the words that are absorbed fully or in part, the latent that carries most besides the main ones. */
function absorbersOf(words: readonly WordReport[], main: readonly number[]): AbsorberReport[] {
  const found = new Map<number, { share: LatentProjection; words: string[]; sum: number }>();
  for (const { word, projection, strongest, isFull, isPartial } of words) {
    const absorber = strongest.find((it) => !main.includes(it.latent));
    if (!absorber || !(isFull || isPartial)) continue;
    const entry = found.get(absorber.latent) ?? { share: absorber, words: [], sum: 0 };
    found.set(absorber.latent, entry);
    entry.words.push(word);
    entry.sum += absorber.projection / projection;
  }
  return [...found.values()]
    .map(({ share, words: taken, sum }) => ({
      latent: share.latent,
      cosine: share.cosine,
      words: taken.slice(0, shownWords),
      meanShare: sum / taken.length,
    }))
    .sort((a, b) => b.words.length - a.words.length || b.meanShare - a.meanShare);
}

function meanOf(labels: readonly LabelReport[]): AbsorptionReport["mean"] {
  const counted = labels.filter((it) => it.probeCounts);
  const spread = (value: (it: LabelReport) => number) => spreadOf(counted.map(value));
  const [full, fraction] = [spread((it) => it.fullRate), spread((it) => it.meanFraction)];
  return {
    labels: counted.length,
    probeF1: spread((it) => it.probe.f1).mean,
    mainF1: spread((it) => it.mainProbe.f1).mean,
    mainLatents: spread((it) => it.main.length).mean,
    fullRate: full.mean,
    partialRate: spread((it) => it.partialRate).mean,
    fraction: fraction.mean,
    standardDeviation: {
      fullRate: full.standardDeviation,
      fraction: fraction.standardDeviation,
    },
  };
}

function problemsOf({ task }: WordPlan, labels: readonly LabelReport[]): string[] {
  const problems: string[] = [];
  const missing = task.labels.filter((label) => !labels.some((it) => it.label === label));
  if (missing.length > 0) problems.push(`too few words for ${missing.join(", ")}`);
  const absent = labels.filter((it) => it.probeCounts && !it.hasMainLatents);
  if (absent.length > 0)
    problems.push(
      `no latents for ${absent.map((it) => it.label).join(", ")} (F1 of the main latents below ${minProbeF1}): what the rule calls absorption there is absence`,
    );
  return problems;
}
