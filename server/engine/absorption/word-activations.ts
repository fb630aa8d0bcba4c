/**
 * The part of an absorption run that no SAE has a part in: words of a task read by a language model at a hook point, and the probe
 * that is trained on them. Kept in the cache, so that the next SAE at the same place starts behind it.
 */
import { createHash } from "node:crypto";
import {
  PromptWriter,
  splitWords,
  type TaskWord,
  wordsOf,
} from "../../analysis/tasks/word-prompts.ts";
import {
  haveOneLabel,
  type LinearProbe,
  meanDifferenceProbe,
  probeProbabilities,
} from "../../analysis/probes/linear-probe.ts";
import { fitLinearProbe } from "../../analysis/probes/linear-fit.ts";
import { unreachable } from "../../base/errors.ts";
import { groundTruthRecipe, trainOneVsRest } from "../../analysis/probes/one-vs-rest.ts";
import { readSafetensors, writeSafetensors } from "../../encoding/safetensors.ts";
import type { Cache } from "../../files/cache.ts";
import { hashWeights } from "../../files/locations.ts";
import { printHookPoint } from "../../lm/hook-points.ts";
import { Stream } from "../../lm/stream.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import { SeededRandom } from "../../base/seeded-random.ts";
import { rowsFrom } from "../read-context.ts";
import { readTextWords } from "./text-words.ts";
import {
  checkEnough,
  joined,
  type WordPlan,
  type WordRows,
  wordRows,
  type Work,
} from "./word-plan.ts";

/** Penalty of `logistic` on the mean loss, ½·penalty·‖w‖²: C = 1 / (penalty · rows). */
const logisticPenalty = 2e-3;

/** Rows and the probe of a task at a place of a model. */
export interface ProbeStage {
  readonly key: string;
  readonly d: number;
  readonly train: WordRows;
  readonly test: WordRows;
  /** Words that the probe is right about, read once more, as SAEBench does; in running text the same rows. */
  readonly judged: WordRows;
  readonly probe: LinearProbe;
}

/** Changes whenever what is cached would come out otherwise. */
const version = 1;

/** The key under which a plan's rows and probe are kept. */
export function planKey(plan: WordPlan): string {
  const { task, hook, prependBos, setting, texts, perLabel, seed, judge, probe, wordsPerDraw } =
    plan;
  const facts = [
    version,
    printHookPoint(hook),
    prependBos,
    setting,
    perLabel,
    seed,
    judge,
    probe,
    wordsPerDraw,
  ];
  const hash = createHash("sha256").update(JSON.stringify([facts, task.source, texts]));
  return `${hashWeights(plan.lm.path).slice(0, 24)}-${hash.digest("hex").slice(0, 24)}`;
}

/** Reads the words and trains the probe, or recalls both. */
export async function probeStage(plan: WordPlan, cache: Cache, work: Work): Promise<ProbeStage> {
  const key = planKey(plan);
  const kept = recalled(cache.readBytes(key), plan);
  if (kept) return { key, ...kept };
  const { train, test } = await readWords(plan, work);
  const d = train.x.length / train.words.length;
  const probe = await trainProbe(plan, { rows: train, d }, work);
  const parts = plan.judge === "all" ? [train, test] : [test];
  const judged = await readJudged(plan, { parts, probe }, work);
  const stage = { d, train, test, judged, probe };
  cache.writeBytes(key, stored(stage));
  return { key, ...stage };
}

async function trainProbe(
  { probe, seed }: WordPlan,
  { rows: { x, labels }, d }: { rows: WordRows; d: number },
  { onProgress, signal }: Work,
): Promise<LinearProbe> {
  onProgress("training the probe", 0.7);
  switch (probe) {
    case "mean-difference":
      return meanDifferenceProbe(x, d, labels);
    case "logistic":
      await new Promise((resolve) => setImmediate(resolve));
      return fitLinearProbe({ d, x }, labels, {
        loss: haveOneLabel(labels) ? "multinomial" : "one-vs-rest",
        C: 1 / (logisticPenalty * labels.nRows),
        standardize: true,
        tolerance: 1e-4,
      });
    case "sae-bench":
      return trainOneVsRest({ kind: "dense", d, x }, labels, {
        ...groundTruthRecipe,
        seed,
        signal,
        onEpoch: async (epoch, epochs) => {
          onProgress(
            `training the probe, epoch ${epoch} of ${epochs}`,
            0.7 + (0.1 * epoch) / epochs,
          );
          // Others of this process get their turn.
          await new Promise((resolve) => setImmediate(resolve));
        },
      });
    default:
      return unreachable(probe);
  }
}

async function readWords(plan: WordPlan, work: Work): Promise<{ train: WordRows; test: WordRows }> {
  if (plan.setting === "text") return readTextWords(plan, work);
  const { task, lm, seed } = plan;
  const all = wordsOf(task, lm.tokenizer, plan);
  checkEnough(all, plan);
  const split = splitWords(all, seed);
  const total = all.length;
  const read = async (words: readonly TaskWord[], at: number): Promise<WordRows> =>
    readPrompts(
      plan,
      { words, examples: words, draw: at },
      {
        ...work,
        onProgress: (_, done) =>
          work.onProgress(`reading word ${at + done} of ${total}`, (0.7 * (at + done)) / total),
      },
    );
  const train = await read(split.train, 0);
  return { train, test: await read(split.test, split.train.length) };
}

/** The words that the probe is right about, in prompts of their own with examples from all words. */
async function readJudged(
  plan: WordPlan,
  { parts, probe }: { parts: readonly WordRows[]; probe: LinearProbe },
  work: Work,
): Promise<WordRows> {
  const { nLabels, d } = probe;
  const right: { word: TaskWord; row: Float32Array }[] = [];
  for (const { words, x } of parts) {
    const p = probeProbabilities(probe, x);
    for (const [at, word] of words.entries())
      if (word.labels.some((label) => p[at * nLabels + label]! > 0.5))
        right.push({ word, row: x.subarray(at * d, (at + 1) * d) });
  }
  const words = right.map((it) => it.word);
  if (plan.setting === "text") return wordRows(words, joined(right.map((it) => it.row)), nLabels);
  const examples = wordsOf(plan.task, plan.lm.tokenizer, plan);
  const onProgress = (_: string, done: number): void =>
    work.onProgress(
      `reading word ${done} of ${words.length} again`,
      0.8 + (0.2 * done) / words.length,
    );
  return readPrompts(plan, { words, examples, draw: 0x5eed }, { ...work, onProgress });
}

/** Reads each word in a prompt of its own. */
async function readPrompts(
  { lm, task, hook, prependBos, seed, wordsPerDraw }: WordPlan,
  {
    words,
    examples,
    draw,
  }: { words: readonly TaskWord[]; examples: readonly TaskWord[]; draw: number },
  { step, onProgress, signal }: Work,
): Promise<WordRows> {
  const writer = new PromptWriter(task, lm.tokenizer, { examples, prependBos });
  const random = new SeededRandom(seed, 3, draw);
  const name = printHookPoint(hook);
  const kept: TaskWord[] = [];
  const rows: Float32Array[] = [];
  const stream = new Stream(lm);
  try {
    let shared: readonly TaskWord[] = [];
    for (const [at, word] of words.entries()) {
      if (at % wordsPerDraw === 0) shared = writer.draw(words.slice(at, at + wordsPerDraw), random);
      const prompt = writer.write(word, shared);
      if (!prompt) continue;
      signal?.throwIfAborted();
      const x = await step(async () => {
        stream.setIds(prompt.ids);
        return rowsFrom((await stream.read([hook], signal)).get(name), prompt.ids.length - 1).data;
      });
      kept.push(word);
      rows.push(x);
      onProgress("", at + 1);
    }
  } finally {
    stream.dispose();
  }
  return wordRows(kept, joined(rows), task.labels.length);
}

const storedParts = ["train", "test", "judged"] as const;

function stored(stage: Omit<ProbeStage, "key">): Uint8Array {
  const { d, probe } = stage;
  const tensors = new Map<string, Tensor>([
    ["probe.weights", tensor("float32", [probe.nLabels, d], probe.weights)],
    ["probe.biases", tensor("float32", [probe.nLabels], probe.biases)],
  ]);
  for (const part of storedParts) {
    const { words, x } = stage[part];
    tensors.set(
      `${part}.ids`,
      tensor(
        "int32",
        [words.length],
        Int32Array.from(words, (it) => it.id),
      ),
    );
    tensors.set(`${part}.x`, tensor("float32", [words.length, words.length === 0 ? 0 : d], x));
  }
  return writeSafetensors(tensors);
}

function recalled(
  bytes: Uint8Array | undefined,
  { task, lm, probe: probeKind }: WordPlan,
): Omit<ProbeStage, "key"> | undefined {
  if (!bytes) return undefined;
  const tensors = readSafetensors(bytes);
  const floats = (name: string): Float32Array => tensors.get(name)!.data as Float32Array;
  const [nLabels = 0, d = 0] = tensors.get("probe.weights")!.dims;
  const [train, test, judged] = storedParts.map((part) => {
    const ids = Array.from(tensors.get(`${part}.ids`)!.data as Int32Array);
    const words = ids.map((id) => {
      const text = lm.tokenizer.tokenText(id);
      return { id, text, labels: task.labelsOf(text.trim()) };
    });
    return wordRows(words, floats(`${part}.x`), nLabels);
  });
  const probe = {
    kind: probeKind === "logistic" && haveOneLabel(train!.labels) ? "multinomial" : "one-vs-rest",
    nLabels,
    d,
    weights: floats("probe.weights"),
    biases: floats("probe.biases"),
  } as const;
  return { d, probe, train: train!, test: test!, judged: judged! };
}
