/**
 * The paper's causal absorption rule over the words of a task (`server/analysis/absorption/causal-rule.ts`): for every label that has
 * main latents, the words that the probe knows and the main latents' own probe misses, each in a prompt of its own; and what removing
 * main latents, absorbers and controls really does to the answer.
 */
import { createHash } from "node:crypto";
import { causalRule } from "../../analysis/absorption/causal-rule.ts";
import type { LabelledActs } from "../../analysis/probes/k-sparse.ts";
import { saeSite } from "../../analysis/sae-site.ts";
import { answerMetric } from "../../analysis/tasks/answer-metric.ts";
import { UserError } from "../../base/errors.ts";
import { SeededRandom } from "../../base/seeded-random.ts";
import { Cache } from "../../files/cache.ts";
import { hashWeights } from "../../files/locations.ts";
import { LmGradients } from "../../lm/gradients.ts";
import type {
  AbsorptionReport,
  AbsorptionSetting,
  LabelReport,
} from "../../protocol/absorption.ts";
import type { CausalReport, CausalWord } from "../../protocol/causal-absorption.ts";
import { tensor } from "../../tensor/tensor.ts";
import type { LoadedSae } from "../loaded.ts";
import { controlWords, type JudgedLabel, labelOf, reportOf } from "./causal-report.ts";
import { drawn, FreshPrompts, type KnownWord, knownWords } from "./causal-words.ts";
import {
  judgeControl,
  judgeWord,
  mainActivation,
  type Removal,
  type WordJudge,
} from "./judge-word.ts";
import { directionCosines } from "./measure-sae.ts";
import type { MeasuredSae } from "./run.ts";
import type { ProbeStage } from "./word-activations.ts";
import { planKey } from "./word-activations.ts";
import type { WordRows, Work } from "./word-plan.ts";

/** Changes whenever what is cached would come out otherwise. */
const version = 1;
/** Which random numbers are for what. */
const draws = { silent: 0x511e, weak: 0x3ea4, control: 0xc047, row: 0x4034 };

/** A measured SAE's report with what the paper's rule says of it. */
export async function withPaperRule(
  measured: MeasuredSae,
  parts: Omit<CausalParts, "gradients">,
  work: Work,
): Promise<AbsorptionReport> {
  const gradients = new LmGradients(measured.plan.lm);
  try {
    const paper = await measureCausally(measured, { ...parts, gradients }, work);
    return { ...measured.report, paper };
  } finally {
    await gradients.release();
  }
}

/** What the rule needs besides a measured SAE. */
export interface CausalParts {
  readonly sae: LoadedSae;
  readonly gradients: LmGradients;
  /** Words of a label that are judged at most; the paper's code has 200. */
  readonly words: number;
  readonly cacheFolder: string;
  /** Lets others of the device pass between two pieces of one word. */
  readonly pause?: () => Promise<void>;
}

/** Refuses running text. */
export function checkHasPrompts(setting: AbsorptionSetting, task: string): void {
  if (setting !== "prompts")
    throw new UserError(
      "causal-needs-prompts",
      `the paper's rule asks what a latent does to the model's answer, and running text asks nothing: read the words of ${task} in its prompts`,
    );
}

/** Judges an SAE, or recalls how it was judged. */
export async function measureCausally(
  measured: MeasuredSae,
  parts: CausalParts,
  work: Work,
): Promise<CausalReport> {
  const { plan } = measured;
  checkHasPrompts(plan.setting, plan.task.name);
  const cache = new Cache(parts.cacheFolder, "absorption-causal");
  const facts = [version, planKey(plan), plan.selection, plan.maxK, parts.words];
  const key = createHash("sha256")
    .update([...facts, hashWeights(parts.sae.info.path)].join(" "))
    .digest("hex");
  const kept = cache.readJson(key) as CausalReport | undefined;
  if (kept) return kept;
  const report = await judged(measured, parts, work);
  cache.writeJson(key, report);
  return report;
}

/** What all labels share. */
interface Shared {
  readonly measured: MeasuredSae;
  readonly parts: CausalParts;
  readonly prompts: FreshPrompts;
  readonly acts: { readonly train: LabelledActs; readonly test: LabelledActs };
  readonly cosines: readonly Float32Array[];
  readonly pool: readonly number[];
  readonly work: Work;
}

async function judged(
  measured: MeasuredSae,
  parts: CausalParts,
  work: Work,
): Promise<CausalReport> {
  const { plan, stage, report } = measured;
  const { sae, id } = parts.sae;
  work.onProgress(`${id}: encoding`, 0);
  const train = await encoded(parts.sae, stage, stage.train, work);
  const test = await encoded(parts.sae, stage, stage.test, work);
  const counted = report.labels.filter((it) => it.probeCounts && it.hasMainLatents);
  const shared = {
    measured,
    parts,
    prompts: new FreshPrompts(plan),
    acts: { train, test },
    cosines: await directionCosines(sae, stage, work.step),
    pool: [...new Set(test.acts.latents)].sort((a, b) => a - b),
  };
  const labels: JudgedLabel[] = [];
  for (const [at, label] of counted.entries()) {
    const onProgress = (text: string, share: number): void =>
      work.onProgress(`${id}: label ${label.label}, ${text}`, (at + share) / counted.length);
    labels.push(await judgeLabel({ ...shared, work: { ...work, onProgress } }, label));
  }
  return reportOf(measured, labels, parts.words);
}

async function encoded(
  { sae }: LoadedSae,
  { d }: ProbeStage,
  { x, labels }: WordRows,
  { step, signal }: Work,
): Promise<LabelledActs> {
  const rows = tensor("float32", [x.length / d, d], x);
  return { labels, acts: await step(() => sae.encode(rows, signal)) };
}

/** Words and removals of one label. */
async function judgeLabel(shared: Shared, found: LabelReport): Promise<JudgedLabel> {
  const { measured, parts, prompts, acts, work } = shared;
  const { plan, stage } = measured;
  const label = plan.task.labels.indexOf(found.label);
  const main = found.main.map(({ latent }) => latent);
  const judge = judgeOf(shared, { label, main });
  const known = knownWords({ plan, stage }, acts, { label, main });
  const missed = known.filter((it) => it.sparseScore <= 0);
  const { silent, weak } = await sorted(shared, judge, missed);
  const seeds = [plan.seed, label];
  const chosen = [
    ...drawn(silent, parts.words, ...seeds, draws.silent),
    ...drawn(weak, parts.words, ...seeds, draws.weak),
  ];
  const others = known.filter((it) => it.sparseScore > 0);
  const fine = drawn(others, controlWords, ...seeds, draws.control);
  const words: CausalWord[] = [];
  const removals: Removal[] = [];
  let answer: readonly number[] | undefined;
  const total = chosen.length + fine.length;
  for (const [at, { word, sparseScore }] of [...chosen, ...fine].entries()) {
    work.signal?.throwIfAborted();
    work.onProgress(`word ${at + 1} of ${total}`, 0.2 + (0.8 * at) / total);
    const prompt = prompts.of(word);
    if (!prompt) continue;
    answer ??= prompts.answerTokens(prompt);
    const metric = answerMetric(prompt.wholeIds.length - 1, answer, { label, labels: word.labels });
    const random = new SeededRandom(...seeds, draws.row, word.id);
    if (at >= chosen.length) {
      removals.push(...(await work.step(() => judgeControl(judge, prompt, { metric, random }))));
      continue;
    }
    const judgedWord = await work.step(() =>
      judgeWord(judge, prompt, { metric, sparseScore, random }),
    );
    words.push(judgedWord.word);
    removals.push(...judgedWord.removals);
  }
  const counts = {
    truePositives: known.length,
    falseNegatives: missed.length,
    silent: silent.length,
    silentJudged: Math.min(silent.length, parts.words),
    weak: weak.length,
    weakJudged: Math.min(weak.length, parts.words),
  };
  const text = answer ? plan.lm.tokenizer.tokenText(answer[label]!) : "";
  return { report: labelOf(found, { counts, words, answer: text, removals, seeds }), removals };
}

function judgeOf(
  { measured, parts, cosines, pool, work }: Shared,
  { label, main }: { label: number; main: readonly number[] },
): WordJudge {
  const { probe, d } = measured.stage;
  const { sae, hook, hookOut } = parts.sae;
  return {
    gradients: parts.gradients,
    site: saeSite(sae, hook, hookOut),
    main,
    cosines: cosines[label]!,
    direction: probe.weights.subarray(label * d, (label + 1) * d),
    pool,
    signal: work.signal,
    ...(parts.pause ? { pause: parts.pause } : {}),
  };
}

/** Words that the main latents' probe misses, by whether the main latents are silent in the prompt in which they are judged. */
async function sorted(
  { prompts, work }: Shared,
  judge: WordJudge,
  missed: readonly KnownWord[],
): Promise<{ silent: KnownWord[]; weak: KnownWord[] }> {
  const [silent, weak]: [KnownWord[], KnownWord[]] = [[], []];
  for (const [at, known] of missed.entries()) {
    work.signal?.throwIfAborted();
    work.onProgress(`reading word ${at + 1} of ${missed.length}`, (0.2 * at) / missed.length);
    const prompt = prompts.of(known.word);
    if (!prompt) continue;
    const sum = await work.step(() => mainActivation(judge, prompt));
    (sum < causalRule.silent ? silent : weak).push(known);
  }
  return { silent, weak };
}
