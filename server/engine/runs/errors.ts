/** What can be wrong with a run: its config, its corpus, its folder. */
import { UserError } from "../../base/errors.ts";

/** A key of a run's config is absent, unknown or of another kind. */
export function badRunConfig(place: {
  where: string;
  key: string;
  found: unknown;
  expected: string;
}): UserError {
  const { where, key, found, expected } = place;
  const what = found === undefined ? "is missing" : `is ${shown(found)}`;
  return new UserError("bad-run-config", `${where}: "${key}" ${what}; expected ${expected}`);
}

/** Parts of a run's config that cannot go together. */
export function conflictingRun(where: string, problem: string): UserError {
  return new UserError("conflicting-run-config", `${where}: ${problem}`);
}

/** A run's config is no JSON with comments. */
export function runNotJsonc(where: string, problem: string): UserError {
  return new UserError("run-not-jsonc", `${where} is not JSON with comments: ${problem}`);
}

/** A file or folder of the corpus is gone. */
export function missingCorpus(path: string): UserError {
  return new UserError(
    "missing-corpus",
    `the corpus ${path} is not there; put it back, or correct data.files in run.jsonc (a dataset of the Hub is hf://datasets/org/name)`,
  );
}

/** A folder without texts. */
export function noCorpusFiles(path: string): UserError {
  return new UserError(
    "no-corpus-files",
    `${path} has no texts; expected .txt, .md, .jsonl (also with .gz) or .parquet files`,
  );
}

/** A file that is no text in a form that we read. */
export function unknownCorpusFile(path: string): UserError {
  return new UserError(
    "unknown-corpus-file",
    `${path} is no corpus that can be read; expected .txt, .md, .jsonl (also with .gz) or .parquet files, or a folder of them`,
  );
}

/** A place on the Hub that is no dataset. */
export function badHubDataset(path: string): UserError {
  return new UserError(
    "bad-hub-dataset",
    `${path} names no dataset of the Hub; expected hf://datasets/org/name, perhaps with @revision, and then perhaps a file, a folder or a pattern with *`,
  );
}

/** A dataset without texts at the place asked for. */
export function noDatasetFiles(path: string, files: readonly string[]): UserError {
  const some = files.slice(0, 8).join(", ");
  const more = files.length > 8 ? ` and ${files.length - 8} more` : "";
  return new UserError(
    "no-dataset-files",
    `${path} has no .parquet, .jsonl or .txt files; the repository has ${some || "no files"}${more}`,
  );
}

/** A Parquet file without the column of texts. */
export function noTextColumn(file: string, field: string, columns: readonly string[]): UserError {
  return new UserError(
    "no-text-column",
    `${file} has no column "${field}"; it has ${columns.join(", ") || "none"}: name the texts' column with data.textField`,
  );
}

/** A cell that is neither text nor conversation. */
export function badParquetRow(file: string, row: number, column: string): UserError {
  return new UserError(
    "bad-parquet-row",
    `row ${row} of ${file}: "${column}" is neither a text nor a list of messages with role and content; name another column with data.textField`,
  );
}

/** A line of a .jsonl file has no text. */
export function badCorpusLine(file: string, line: number, problem: string): UserError {
  return new UserError(
    "bad-corpus-line",
    `line ${line} of ${file}: ${problem}; name the text's key with data.textField`,
  );
}

/** No window came out of the corpus. */
export function emptyCorpus(files: readonly string[], minTokens: number): UserError {
  return new UserError(
    "empty-corpus",
    `${files.join(", ")} gives no window of at least ${minTokens} tokens; give more text or lower data.minTokens`,
  );
}

/** The tokenizer lacks a token that the policy asks for. */
export function noSuchToken(kind: "bos" | "eos"): UserError {
  const key = kind === "bos" ? '"prependBos": false' : '"separator": "none"';
  return new UserError(
    "no-such-token",
    `the model's tokenizer has no ${kind.toUpperCase()} token, which the data's policy asks for; set ${key} in data`,
  );
}

/** A hook point whose rows are no activations of tokens. */
export function noTokenRows(hook: string): UserError {
  return new UserError(
    "no-token-rows",
    `${hook} has no row per token to train on; choose a residual, attn_out, mlp_out or z hook point`,
  );
}

/** There are fewer rows than the run asks for. */
export function tooFewRows(found: number, wanted: number, epochs: number): UserError {
  return new UserError(
    "too-few-rows",
    `the data gives ${found} batches in ${epochs} epoch${epochs === 1 ? "" : "s"}, but the run takes ${wanted}; give more data, lower steps, or set data.epochs to 0 to begin again as often as needed`,
  );
}

/** The folder has a run already. */
export function runExists(folder: string): UserError {
  return new UserError(
    "run-exists",
    `${folder} has a run already; continue it with --resume, or choose another folder with --output`,
  );
}

/** There is nothing to resume. */
export function noRun(folder: string): UserError {
  return new UserError(
    "no-run",
    `${folder} has no run to resume: expected its run.jsonc with the environment that a start writes`,
  );
}

/** The end would differ from that of a run that was never interrupted. */
export function cannotResume(folder: string, differences: readonly string[]): UserError {
  return new UserError(
    "cannot-resume",
    `resuming ${folder} would not give the same SAE: ${differences.join("; ")}. Restore these, or give --allow-differences to go on all the same; result.json will say so`,
  );
}

/** What a run needs has changed: going on would mix two runs. */
export function inputsChanged(folder: string, differences: readonly string[]): UserError {
  return new UserError(
    "inputs-changed",
    `${folder} cannot be resumed: ${differences.join("; ")}; put the old files back or start a new run`,
  );
}

/** A file of batches is not `[batches, rows, d]`. */
export function badBatchesFile(path: string, problem: string): UserError {
  return new UserError(
    "bad-batches-file",
    `${path}: ${problem}; expected a safetensors file with one tensor [batches, rows, d_in]`,
  );
}

/** A window would be longer than the model's context. */
export function ctxTooLong(lm: string, ctx: number, n_ctx: number): UserError {
  return new UserError(
    "ctx-too-long",
    `data.ctx is ${ctx}, but ${lm} reads at most ${n_ctx} tokens; lower it`,
  );
}

/** The data have several hook points, and the config names none. */
export function hookNeeded(where: string, hooks: readonly string[]): UserError {
  return new UserError(
    "hook-needed",
    `${where} has activations of ${hooks.join(", ")}; say which with "hook" beside "train"`,
  );
}

/** A hook point was named for rows that come from none. */
export function noHookHere(found: string, known: readonly string[] = []): UserError {
  const other = known.length === 0 ? "" : `, or choose ${known.join(" or ")}`;
  return new UserError(
    "no-hook-here",
    `"hook" is ${found}, but decoder rows and files of batches have no hook points; leave it out${other}`,
  );
}

/** A width in the config is not that of the data. */
export function widthDiffers(place: {
  sae: string;
  key: string;
  found: number;
  hook: string;
  width: number;
}): UserError {
  const { sae, key, found, hook, width } = place;
  return new UserError(
    "width-differs",
    `${sae}: "${key}" is ${found}, but rows of ${hook} have width ${width}; leave "${key}" out, or choose another hook point`,
  );
}

/** Initial weights that cannot be used. */
export function cannotStartFrom(sae: string, path: string, problem: string): UserError {
  return new UserError("cannot-start-from", `${sae} cannot start from ${path}: ${problem}`);
}

/** A config without data, e.g. one that was translated from another tool's. */
export function noData(where: string): UserError {
  return new UserError(
    "no-data",
    `${where} has no "data"; say what to read, e.g. {"kind": "files", "lm": "…", "files": ["…"]}, or give --batches`,
  );
}

/** A checkpoint lacks an SAE of the run. */
export function otherSaes(path: string, name: string, found: readonly string[]): UserError {
  return new UserError(
    "other-saes",
    `${path} has no state of ${name}, but of ${found.join(", ") || "none"}; put the run's run.jsonc back`,
  );
}

/** A place where a reconstruction cannot be put into the model. */
export function cannotSplice(hook: string): UserError {
  return new UserError(
    "cannot-splice",
    `"endToEnd" needs an SAE whose output can stand in the residual stream, which that of ${hook} cannot; choose resid_pre, resid_post or mlp_out (for a transcoder as "hookOut")`,
  );
}

/** A loss needs the language model, and the data have none. */
export function modelNeeded(sae: string, option: string, kind: string): UserError {
  return new UserError(
    "model-needed",
    `${sae}: "${option}" needs the language model at every step, but data of kind "${kind}" have none; use data of kind "files"`,
  );
}

/** A line of a task's file is no prompt. */
export function badTaskLine(file: string, line: number, problem: string): UserError {
  return new UserError(
    "bad-task-line",
    `line ${line} of ${file}: ${problem}; expected {"text": "…", "correct": " token", "wrong": " token"}, and "position" if the logits are not read at the last token`,
  );
}

/** A task without a token to train on. */
export function emptyTask(file: string): UserError {
  return new UserError(
    "empty-task",
    `${file} has no prompts, or one without a token that is trained on; give longer prompts, or lower data.skipPositions`,
  );
}

/** A place whose gradient cannot be read. */
export function noGradientHere(hook: string): UserError {
  return new UserError(
    "no-gradient-here",
    `"attribution" needs a gradient at ${hook}, which is outside the model's blocks; choose a hook point inside one`,
  );
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

/** A folder without the run file of an index. */
export function noIndexRun(folder: string): UserError {
  return new UserError(
    "no-index-run",
    `${folder} has no run.jsonc of an index; give --sae and --files to begin one`,
  );
}

/** A folder was begun with another SAE, corpus or policy. */
export function otherIndex(folder: string): UserError {
  return new UserError(
    "other-index",
    `${folder} has a run.jsonc that says otherwise; give the folder alone to go on with it, or another --output`,
  );
}

/** Meta-SAEs read decoder rows, of which there is no corpus. */
export function metaHasNoCorpus(id: string, parent: string): UserError {
  return new UserError(
    "meta-sae-reads-no-text",
    `${id} is a meta-SAE: it reads the decoder rows of ${parent}, not text; index ${parent} instead`,
  );
}
