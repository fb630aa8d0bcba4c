/**
 * `run.jsonc`: what a run reads, what it trains, how it is kept. A file that a person writes may leave out what has a default; the
 * file that a start writes into the run's folder is complete, with all paths absolute, sweeps spread out into single SAEs,
 * and the environment in which it ran.
 */
import { isAbsolute, join } from "node:path";
import * as v from "valibot";
import { unreachable } from "../../base/errors.ts";
import { exists } from "../../files/disk.ts";
import { count, flag, listOf, notNegative, oneOf, size } from "../../training/options.ts";
import { isHubDataset } from "./corpus-files.ts";
import { badRunConfig, conflictingRun } from "./errors.ts";
import { parseJsonc } from "./jsonc.ts";
import { expandSweep, sweepSchema } from "./sweep.ts";

const text = () => v.pipe(v.string("a text"), v.minLength(1, "a text that is not empty"));
const epochs = v.optional(count(), 0);

/** Texts through a language model. */
const files = v.strictObject({
  kind: v.literal("files"),
  /** Folder, .gguf file, or Hub id of a downloaded model. */
  lm: text(),
  /** .txt, .md, .jsonl, also .gz, .parquet, folders of them, or hf://datasets/org/name of the Hub. */
  files: listOf(text()),
  /** Tokens of a window, BOS included. SAELens `context_size`. */
  ctx: v.optional(size(), 256),
  /** Null: as the model's tokenizer does it. SAELens `prepend_bos`. */
  prependBos: v.optional(v.nullable(flag()), null),
  documents: v.optional(oneOf("join", "split"), "join"),
  /** Null: EOS where the tokenizer has one. */
  separator: v.optional(v.nullable(oneOf("eos", "bos", "none")), null),
  specialTokens: v.optional(oneOf("text", "parse"), "text"),
  textDocuments: v.optional(oneOf("file", "blank-lines", "lines"), "file"),
  textField: v.optional(text(), "text"),
  /** Leaves out documents whose sha1 is divisible by this, for validation. */
  leaveOut: v.optional(count(), 0),
  minTokens: v.optional(size(), 16),
  maxTokens: v.optional(count(), 0),
  /** Positions at a window's start that are not trained on. */
  skipPositions: v.optional(count(), 1),
  /** SAELens `exclude_special_tokens`. */
  skipSpecial: v.optional(flag(), true),
  epochs,
});

/** Shards that `harvest` wrote. */
const shards = v.strictObject({ kind: v.literal("shards"), folder: text(), epochs });

/** A safetensors file with one tensor `[batches, rows, d_in]`, taken in order: for replays. */
const batches = v.strictObject({ kind: v.literal("batches"), file: text(), epochs });

/** Decoder rows of an SAE, each scaled to norm 1: what meta-SAEs are trained on. */
const decoderRows = v.strictObject({
  kind: v.literal("decoder-rows"),
  sae: text(),
  epochs,
});

const dataSchema = v.variant("kind", [files, shards, batches, decoderRows]);

const initSchema = v.variant("kind", [
  /** A safetensors file, by our names, SAELens's or dictionary_learning's. */
  v.strictObject({
    kind: v.literal("file"),
    file: text(),
    prefix: v.optional(v.string("a text"), ""),
  }),
  /** A finished SAE of any format that we read: fine-tuning. */
  v.strictObject({ kind: v.literal("sae"), sae: text() }),
]);

const saeSchema = v.strictObject({
  /** Folder of the SAE and its name in curves. */
  name: v.optional(v.pipe(text(), v.regex(/^[\w.+=-]+$/, "letters, digits and . _ + = - only"))),
  /** Hook point that is read; null where the data has only one. */
  hook: v.optional(v.nullable(text()), null),
  /** Hook point that a transcoder predicts. */
  hookOut: v.optional(v.nullable(text()), null),
  init: v.optional(v.nullable(initSchema), null),
  /** Prompts of a labelled task for `train.attribution`: a .jsonl file of {"text", "correct", "wrong", "position"}. */
  task: v.optional(v.nullable(text()), null),
  /** The trainer's options; `d_in` and `metadata` are filled in from the data. */
  train: v.record(v.string(), v.unknown(), "an object"),
  /** Written by a start: the values that a sweep gave to this one. */
  swept: v.optional(v.record(v.string(), v.unknown())),
});

/** What a run file may say. */
export const runSchema = v.strictObject({
  $schema: v.optional(v.string()),
  kind: v.optional(v.literal("train"), "train"),
  /** Name of the run. */
  name: v.optional(text()),
  data: v.optional(dataSchema),
  /** Rows of a step's batch; null: 2048, or what a file of batches has. SAELens `train_batch_size_tokens`. */
  batch: v.optional(v.nullable(size()), null),
  /** Steps that are run; null: as many as the longest schedule has. */
  steps: v.optional(v.nullable(size()), null),
  buffer: v.optional(
    v.strictObject({
      /** Rows held in memory, about, among which rows are shuffled. */
      rows: v.optional(size(), 65_536),
      seed: v.optional(count(), 0),
    }),
    {},
  ),
  sae: v.optional(saeSchema),
  saes: v.optional(listOf(saeSchema)),
  sweep: v.optional(sweepSchema),
  checkpoint: v.optional(
    v.strictObject({
      /** Null: by time alone. */
      everySteps: v.optional(v.nullable(size()), null),
      /** Null: so often that writing takes at most a few percent of the time and 4 MB/s of the disk. */
      everySeconds: v.optional(v.nullable(notNegative()), null),
      keep: v.optional(size(), 2),
    }),
    {},
  ),
  log: v.optional(
    v.strictObject({
      /** Null: so that about 2,000 lines per SAE are written. */
      everySteps: v.optional(v.nullable(size()), null),
    }),
    {},
  ),
  device: v.optional(v.nullable(oneOf("auto", "cpu", "cuda", "webgpu", "dml", "coreml")), null),
  threads: v.optional(v.nullable(size()), null),
  /** Written by a start: versions and machine under which the end is bit-identical. */
  environment: v.optional(v.record(v.string(), v.union([v.string(), v.number()]))),
  /** Written by a resume with --allow-differences: what was different. */
  differences: v.optional(v.array(v.string())),
  /** Written by a start: hashes of what is read. */
  inputs: v.optional(v.record(v.string(), v.string())),
});

/** Where a run's activations come from. */
export type DataConfig = v.InferOutput<typeof dataSchema>;

/** Texts through a language model. */
export type FilesConfig = v.InferOutput<typeof files>;

/** One SAE of a run. */
export interface SaeRun extends v.InferOutput<typeof saeSchema> {
  readonly name: string;
}

/** A run's config with sweeps spread out and absolute paths; what depends on the data may still be null. */
export interface RunConfig extends Omit<
  v.InferOutput<typeof runSchema>,
  "sae" | "saes" | "sweep" | "data"
> {
  readonly data: DataConfig | undefined;
  readonly saes: readonly SaeRun[];
}

/** Parses the text of a run's file; paths in it are relative to `folder`. */
export function parseRunConfig(source: string, where: string, folder: string): RunConfig {
  const value = parseJsonc(source, where);
  const result = v.safeParse(runSchema, value, { abortPipeEarly: true });
  if (!result.success) throw asUserError(result.issues[0], where);
  const { sae, saes, sweep, data, ...rest } = result.output;
  if ((sae === undefined) === (saes === undefined)) {
    throw conflictingRun(where, `give either "sae", an object, or "saes", a list of such`);
  }
  const all = (saes ?? [sae!]).map((it) => ({
    ...it,
    init: absoluteInit(it.init, folder),
    task: it.task === null ? null : absolute(it.task, folder),
  }));
  return {
    ...rest,
    data: data && absoluteData(data, folder),
    saes: expandSweep(all, sweep, where) as SaeRun[],
  };
}

/** Parses the `data` of a harvest; paths in it are relative to `folder`. */
export function parseFilesConfig(value: unknown, where: string, folder: string): FilesConfig {
  const result = v.safeParse(files, value, { abortPipeEarly: true });
  if (!result.success) throw asUserError(result.issues[0], where);
  return absoluteData(result.output, folder) as FilesConfig;
}

function asUserError(
  issue: v.InferIssue<typeof runSchema> | v.InferIssue<typeof files>,
  where: string,
): Error {
  const path = issue.path ?? [];
  const key = path.map((item) => String(item.key)).join(".");
  const found = path.length === 0 ? issue.input : path.at(-1)?.value;
  const unknown = issue.type === "strict_object" && issue.expected === "never";
  const message = issue.message.startsWith("Invalid ")
    ? (issue.expected ?? "another value").replaceAll("|", "or")
    : issue.message;
  return badRunConfig({ where, key, found, expected: unknown ? "no such key" : message });
}

function absoluteData(data: DataConfig, folder: string): DataConfig {
  const place = (path: string): string => absolute(path, folder);
  switch (data.kind) {
    case "files":
      return {
        ...data,
        lm: maybeHubId(data.lm, folder),
        files: data.files.map((path) => (isHubDataset(path) ? path : place(path))),
      };
    case "shards":
      return { ...data, folder: place(data.folder) };
    case "batches":
      return { ...data, file: place(data.file) };
    case "decoder-rows":
      return { ...data, sae: maybeHubId(data.sae, folder) };
    default:
      return unreachable(data);
  }
}

function absoluteInit(init: v.InferOutput<typeof initSchema> | null, folder: string) {
  if (init === null) return null;
  return init.kind === "file"
    ? { ...init, file: absolute(init.file, folder) }
    : { ...init, sae: maybeHubId(init.sae, folder) };
}

function absolute(path: string, folder: string): string {
  return isAbsolute(path) ? path : join(folder, path);
}

/** What begins like a path, or has no slash, is one; `org/name` may be the id of a Hub repository. */
function maybeHubId(path: string, folder: string): string {
  return /^[^./\\][^/\\]*\/[^/\\]/.test(path) && !exists(join(folder, path))
    ? path
    : absolute(path, folder);
}
