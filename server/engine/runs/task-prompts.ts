/**
 * A labelled task for a penalty on attribution: a .jsonl file with one prompt a line,
 *
 *     {"text": "When Mary and John went out, John gave a drink to", "correct": " Mary", "wrong": " John"}
 *
 * `correct` and `wrong` are single tokens, as text or as ids. `position` is the token at whose position their logits are
 * read, BOS included, negative from the end; the last where it is left out. The metric is their difference.
 */
import * as v from "valibot";
import { readText } from "../../files/disk.ts";
import { type LmGradients } from "../../lm/gradients.ts";
import { type HookPoint, parseHookPoint, printHookPoint } from "../../lm/hook-points.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import { TokenWindowsBuilder } from "../../store/token-windows.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import { tokenizeContext } from "../../text/context-tokens.ts";
import type { TaskRows } from "../../training/attribution.ts";
import { badTaskLine, emptyTask, noGradientHere } from "./errors.ts";
import { LmSource, type RowPolicy } from "./lm-source.ts";

/** A line of the file. */
const promptSchema = v.strictObject({
  text: v.pipe(v.string(), v.minLength(1)),
  position: v.optional(v.pipe(v.number(), v.safeInteger()), -1),
  correct: v.union([v.string(), v.pipe(v.number(), v.safeInteger(), v.minValue(0))]),
  wrong: v.union([v.string(), v.pipe(v.number(), v.safeInteger(), v.minValue(0))]),
});

/** A prompt as tokens, with what is read. */
interface Prompt {
  readonly ids: Int32Array;
  readonly position: number;
  readonly correct: number;
  readonly wrong: number;
}

/** What a task is read with. */
export interface TaskPlace {
  /** The SAE's hook point, and that of a transcoder's output. */
  readonly hook: string;
  readonly hookOut: string | null;
  readonly prependBos: boolean;
  readonly policy: RowPolicy;
}

/** Rows of a task's prompts, some at a time. */
export class Task {
  readonly #prompts: readonly TaskRows[];

  constructor(prompts: readonly TaskRows[]) {
    this.#prompts = prompts;
  }

  /** The rows of a step: all, or `count` prompts in turns. */
  at(step: number, count: number | null): TaskRows {
    const all = this.#prompts;
    const n = Math.min(count ?? all.length, all.length);
    const first = n === all.length ? 0 : step * n;
    const chosen = Array.from({ length: n }, (_, i) => all[(first + i) % all.length]!);
    return {
      prompts: n,
      x: stacked(chosen.map(({ x }) => x)),
      gradient: stacked(chosen.map(({ gradient }) => gradient)),
    };
  }
}

/** Reads a task's prompts and takes the gradients of their metrics. */
export async function openTask(
  file: string,
  gradients: LmGradients,
  place: TaskPlace,
  report: { signal: AbortSignal; onProgress: (phase: string, share: number) => void },
): Promise<Task> {
  const { lm } = gradients;
  const prompts = readPrompts(file, lm, place.prependBos);
  const target = gradientHook(parseHookPoint(place.hookOut ?? place.hook));
  const builder = new TokenWindowsBuilder(Math.max(lm.config.d_vocab, lm.tokenizer.d_vocab));
  for (const { ids } of prompts) builder.push([...ids]);
  const source = new LmSource(lm, builder.finish({}), [place.hook], place.policy);
  const width = lm.hookWidth(target)!;
  const found: TaskRows[] = [];
  for (const [index, { ids, position, correct, wrong }] of prompts.entries()) {
    report.onProgress("reading the task", index / prompts.length);
    const rows = (await source.read(index, report.signal)).get(place.hook)!;
    const terms = [
      { position, id: correct, weight: 1 },
      { position, id: wrong, weight: -1 },
    ];
    const { gradients: all } = await gradients.ofLogits(ids, terms, [target], report.signal);
    const { data } = all.get(printHookPoint(target))!;
    const kept = source.keptPositions(ids);
    const gradient = new Float32Array(kept.length * width);
    kept.forEach((at, i) => gradient.set(data.subarray(at * width, (at + 1) * width), i * width));
    const d_in = source.widths.get(place.hook)!;
    found.push({
      prompts: 1,
      x: tensor("float32", [kept.length, d_in], rows.slice()),
      gradient: tensor("float32", [kept.length, width], gradient),
    });
  }
  if (found.some(({ x }) => x.dims[0] === 0)) throw emptyTask(file);
  return new Task(found);
}

function readPrompts(file: string, lm: LanguageModel, prependBos: boolean): Prompt[] {
  const prompts: Prompt[] = [];
  for (const [at, line] of readText(file).split("\n").entries()) {
    if (line.trim() === "") continue;
    prompts.push(readPrompt(line, lm, { prependBos, file, line: at + 1 }));
  }
  if (prompts.length === 0) throw emptyTask(file);
  return prompts;
}

function readPrompt(
  text: string,
  lm: LanguageModel,
  { prependBos, file, line }: { prependBos: boolean; file: string; line: number },
): Prompt {
  const bad = (problem: string): Error => badTaskLine(file, line, problem);
  const result = v.safeParse(promptSchema, jsonOf(text));
  if (!result.success) throw bad("it is no prompt");
  const { text: prompt, position, correct, wrong } = result.output;
  const parts = [{ text: prompt, fileStart: 0 }];
  const { ids } = tokenizeContext(lm.tokenizer, { kind: "plain", parts }, { prependBos }).tokens;
  if (ids.length > lm.config.n_ctx)
    throw bad(`it has ${ids.length} tokens, but ${lm.id} reads at most ${lm.config.n_ctx}`);
  const at = position < 0 ? ids.length + position : position;
  if (at < 0 || at >= ids.length)
    throw bad(`"position" is ${position}, but the prompt has ${ids.length} tokens`);
  const idOf = (key: string, value: string | number): number => {
    if (typeof value === "number") {
      if (value >= lm.config.d_vocab) throw bad(`"${key}" is ${value}, which is no token id`);
      return value;
    }
    const found = [...lm.tokenizer.encode(value).ids];
    if (found.length !== 1)
      throw bad(
        `"${key}" is ${JSON.stringify(value)}, which is ${found.length} tokens; expected one, mind a blank at its beginning`,
      );
    return found[0]!;
  };
  return { ids, position: at, correct: idOf("correct", correct), wrong: idOf("wrong", wrong) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON is not a prompt either.
    return undefined;
  }
}

function gradientHook(hook: HookPoint) {
  if (!("layer" in hook) || hook.kind === "pattern") throw noGradientHere(printHookPoint(hook));
  return { kind: hook.kind, layer: hook.layer };
}

function stacked(all: readonly Tensor<"float32">[]): Tensor<"float32"> {
  const width = all[0]!.dims[1]!;
  const data = new Float32Array(all.reduce((sum, it) => sum + it.data.length, 0));
  let at = 0;
  for (const { data: part } of all) {
    data.set(part, at);
    at += part.length;
  }
  return tensor("float32", [data.length / width, width], data);
}
