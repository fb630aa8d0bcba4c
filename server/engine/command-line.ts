/**
 * The verbs of the command line. Exit codes: 0 ok, 1 user error, 2 bug, 130 cancelled. Errors go to stderr in one
 * sentence, with `--json` as `{error: {code, text}}`.
 */
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { availableParallelism, totalmem } from "node:os";
import { isCancelled, UserError } from "../base/errors.ts";
import { readText } from "../files/disk.ts";
import type { Precision } from "../lm/precision.ts";
import type { ReaderSettings } from "../protocol/reader.ts";
import { readerInfoText } from "../protocol/reader-info-text.ts";
import { addComparisonVerbs } from "./command-line-comparison.ts";
import { addDecoderVerbs } from "./command-line-decoders.ts";
import { addEvalVerbs } from "./command-line-evals.ts";
import { addLint } from "./command-line-lint.ts";
import { collect, count, device, fact } from "./command-line-options.ts";
import { addCauseVerbs } from "./command-line-causes.ts";
import { addAbsorptionVerb } from "./command-line-absorption.ts";
import { addExplainVerb } from "./command-line-explain.ts";
import { addFindVerb } from "./command-line-find.ts";
import { addLevelsVerb } from "./command-line-levels.ts";
import { addRepairVerb } from "./command-line-repair.ts";
import { addRunVerbs } from "./command-line-runs.ts";
import { addToyVerb } from "./command-line-toy.ts";
import { Engine } from "./engine.ts";
import { inspect } from "./verbs/inspect.ts";
import { printInspection } from "./verbs/print.ts";
import { encodeFile, type Sequence, writeActivations } from "./verbs/tensors.ts";

/** What the program around the command line knows. */
export interface CommandSurroundings {
  readonly bundled: {
    readonly lm: string;
    readonly saes: readonly { path: string; optional?: boolean }[];
  };
  readonly sampleText: string;
  readonly cacheFolder: string;
  readonly version: string;
}

/** Options that every verb with an engine has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly device: ReaderSettings["device"];
  readonly threads: number;
}

/** What verbs that work with an engine need of the program around them. */
export interface EngineVerbs {
  /** A new verb with the common options. */
  readonly verb: (name: string, description: string) => Command;
  /** Opens an engine for some work. */
  readonly withEngine: <T>(
    options: CommonOptions,
    work: (engine: Engine) => Promise<T>,
  ) => Promise<T>;
  readonly signal: AbortSignal;
}

/** Runs one verb and returns the exit code. */
export async function runCommandLine(
  argv: readonly string[],
  around: CommandSurroundings,
): Promise<number> {
  const controller = new AbortController();
  const interrupt = (): void => controller.abort();
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  try {
    await commandLine(around, controller.signal).parseAsync(argv);
    return 0;
  } catch (error) {
    return report(error, argv.includes("--json"));
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}

function commandLine(around: CommandSurroundings, signal: AbortSignal): Command {
  const program = new Command("latent-workbench")
    .description("Latents of sparse autoencoders at the tokens of your files")
    .version(around.version)
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  const verb = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .option("--json", "print JSON")
      .option("--device <name>", "auto, cpu, cuda, webgpu, dml or coreml", device, "auto")
      .option("--threads <n>", "threads of the device", count, availableParallelism());
  const withEngine = async <T>(
    options: CommonOptions,
    work: (engine: Engine) => Promise<T>,
  ): Promise<T> => {
    const engine = await Engine.open({
      device: options.device,
      threads: options.threads,
      memoryBudget: totalmem() * 0.75,
      cacheFolder: around.cacheFolder,
      sampleText: around.sampleText,
    });
    try {
      return await work(engine);
    } finally {
      await engine.close();
    }
  };

  verb("inspect", "read a file through a model and SAEs")
    .argument("<file>", "a text, prompt or chat file")
    .option("--lm <path>", "language model: folder, .gguf file or Hub id", around.bundled.lm)
    .option("--sae <path>", "SAE: folder, file or Hub id; may be given several times", collect, [])
    .option("--top <n>", "latents shown per token", count, 10)
    .option("--contexts <rule>", "file, blocks, paragraphs or lines")
    .option("--self-check", "also run the SAEs on the sample text")
    .action((file: string, options) =>
      withEngine(options, async (engine) => {
        const saes = options.sae.length > 0 ? options.sae : bundledSaes(around, options.lm);
        const result = await inspect(engine, {
          ...options,
          file,
          saes,
          selfCheck: options.selfCheck === true,
          signal,
        });
        print(options.json ? JSON.stringify(result) : printInspection(result));
      }),
    );

  verb("activations", "write activations at hook points and logits to a safetensors file")
    .requiredOption("--lm <path>", "language model")
    .option("--text <text>", "text; BOS as the model's tokenizer has it")
    .option("--ids <list>", "token ids, separated by commas; taken as they are")
    .option("--ids-file <file>", "file with token ids, separated by commas or blanks")
    .requiredOption(
      "--hooks <list>",
      "hook points by their TransformerLens names, separated by commas",
    )
    .requiredOption("--output <file>", "safetensors file to write")
    .option(
      "--precision <dtype>",
      "float64 (CPU: float32 rounding can move a token by 2e-4 of its RMS) or float32",
      precision,
    )
    .action((options) =>
      withEngine(options, async (engine) => {
        const hooks = options.hooks
          .split(",")
          .map((it: string) => it.trim())
          .filter(Boolean);
        const result = await writeActivations(engine, {
          ...options,
          hooks,
          sequence: sequenceOf(options),
          precision: options.precision ?? (engine.info().device === "cpu" ? "float64" : "float32"),
          signal,
        });
        print(options.json ? JSON.stringify(result) : `${result.output}: ${result.tokens} tokens`);
      }),
    );

  verb("encode", "run an SAE on vectors from a safetensors file")
    .requiredOption("--sae <path>", "SAE")
    .requiredOption("--input <file>", "safetensors file with x [n, d_in]")
    .requiredOption("--output <file>", "safetensors file to write")
    .option("--sparse", "write offsets, latents and values instead of dense acts")
    .option("--fact <key=value>", "what the SAE's format does not store, e.g. k=50", fact, {})
    .action((options) =>
      withEngine(options, async (engine) => {
        const result = await encodeFile(engine, {
          ...options,
          sparse: options.sparse === true,
          facts: options.fact,
          signal,
        });
        print(
          options.json
            ? JSON.stringify(result)
            : `${result.output}: ${result.rows} rows, mean L0 ${result.meanL0}`,
        );
      }),
    );

  verb("generate", "continue a text")
    .requiredOption("--lm <path>", "language model")
    .requiredOption("--text <text>", "text to continue")
    .option("--max-new-tokens <n>", "tokens to add at most", count, 32)
    .option("--temperature <t>", "0 for greedy", Number, 0)
    .option("--seed <n>", "seed for sampling", Number, 0)
    .action((options) =>
      withEngine(options, async (engine) => {
        const { id } = await engine.loadLm({ path: options.lm });
        const { ids, text } = await engine.generate({ ...options, lm: id }, signal);
        print(options.json ? JSON.stringify({ text, ids: [...ids] }) : text);
      }),
    );

  verb("doctor", "show devices with reasons and check figures, versions, caches, memory").action(
    (options) =>
      withEngine(options, async (engine) => {
        const info = await engine.probe();
        const { cacheFolder } = around;
        print(
          options.json
            ? JSON.stringify({ ...info, node: process.versions.node, cacheFolder })
            : `${readerInfoText(info)}

Cache: ${cacheFolder}`,
        );
      }),
  );
  addRunVerbs({ program, version: around.version, bundledLm: around.bundled.lm, signal });
  addCauseVerbs({ verb, withEngine, bundled: around.bundled, signal });
  addComparisonVerbs({ verb, withEngine, bundled: around.bundled, signal });
  addDecoderVerbs({ verb, withEngine, signal });
  addLint({ verb, withEngine, signal });
  addFindVerb({ verb, withEngine, signal }, around.bundled);
  addEvalVerbs({ program, version: around.version, signal });
  addToyVerb({ program, signal });
  addExplainVerb({ program, signal });
  const { bundled, sampleText, cacheFolder } = around;
  const task = { verb, withEngine, bundledLm: bundled.lm, sampleText, cacheFolder, signal };
  addAbsorptionVerb(task);
  addRepairVerb(task);
  addLevelsVerb(task);
  return program;
}

/** Prints the failure and returns its exit code. */
function report(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    return complain(
      { code: "usage", text: error.message.replace(/^error: /, "").replaceAll("\n", " ") },
      json,
      1,
    );
  }
  if (isCancelled(error)) return complain({ code: "cancelled", text: "cancelled" }, json, 130);
  if (error instanceof UserError)
    return complain({ code: error.code, text: error.message }, json, 1);
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return complain({ code: "bug", text }, json, 2);
}

function complain(error: { code: string; text: string }, json: boolean, exitCode: number): number {
  process.stderr.write(`${json ? JSON.stringify({ error }) : error.text}\n`);
  return exitCode;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function bundledSaes({ bundled }: CommandSurroundings, lm: string): string[] {
  if (lm !== bundled.lm)
    throw new UserError("no-sae", `no SAE is given for ${lm}; give one or more with --sae`);
  return bundled.saes.filter((it) => !it.optional).map((it) => it.path);
}

function sequenceOf(options: { text?: string; ids?: string; idsFile?: string }): Sequence {
  const given = [options.text, options.ids, options.idsFile].filter((it) => it !== undefined);
  if (given.length !== 1)
    throw new UserError("usage", "give exactly one of --text, --ids and --ids-file");
  if (options.text !== undefined) return { text: options.text };
  const list = options.ids ?? readText(options.idsFile ?? "");
  const ids = list
    .split(/[\s,[\]]+/)
    .filter(Boolean)
    .map(Number);
  const bad = ids.find((id) => !Number.isInteger(id));
  if (bad !== undefined)
    throw new UserError("usage", `ids must be whole numbers; found ${list.slice(0, 60)}`);
  return { ids: Int32Array.from(ids) };
}

function precision(value: string): Precision {
  if (value !== "float32" && value !== "float64")
    throw new InvalidArgumentError("expected float32 or float64.");
  return value;
}
