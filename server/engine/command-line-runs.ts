/** The verbs that start runs: `train`, `harvest`, `import-run`. */
import type { Command } from "commander";
import { resolve } from "node:path";
import type { ShardDType } from "../store/activation-shards.ts";
import { addIndex } from "./command-line-index.ts";
import { count, defined, device, json, oneOf } from "./command-line-options.ts";
import { harvest, type HarvestPlan, type HarvestResult } from "./runs/harvest.ts";
import { importRun } from "./runs/import-run.ts";
import { parseFilesConfig } from "./runs/run-config.ts";
import type { RunPriority } from "./runs/priority.ts";
import type { RunResult } from "./runs/run-outputs.ts";
import type { StepLine, StepSpeed } from "./runs/train-loop.ts";
import { train } from "./runs/train.ts";
import { stepText } from "./train-lines.ts";

/** What the verbs need of the program around them. */
export interface RunVerbs {
  readonly program: Command;
  readonly version: string;
  /** The model to take where none is named. */
  readonly bundledLm: string;
  readonly signal: AbortSignal;
}

/** Lines for people come no more often than this. */
const lineMs = 1000;

/** Adds the verbs. */
export function addRunVerbs(verbs: RunVerbs): void {
  // Who reads the output may go away, as an editor's window does; the run goes on.
  process.stdout.on("error", () => {});
  addTrain(verbs);
  addHarvest(verbs);
  addIndex(verbs, { verb, shower, print });
  verb(verbs, "import-run", "translate a training config of SAELens or dictionary_learning")
    .argument("<config>", "JSON with sae_cfg and trainer_cfg, or with trainer_class")
    .requiredOption("--output <file>", "run file to write")
    .action((config: string, options) => {
      const result = importRun(resolve(config), resolve(options.output));
      print(options.json ? JSON.stringify(result) : `${result.output}: ${result.architecture}`);
    });
}

function addTrain(verbs: RunVerbs): void {
  const { signal, version } = verbs;
  verb(verbs, "train", "train SAEs: a new run from a file, or one to resume")
    .argument("<run>", "run file (.jsonc) or folder of a run")
    .option("--resume", "go on from the last checkpoint")
    .option("--output <folder>", "folder of a new run; default: the file's name without its ending")
    .option("--init <file>", "safetensors file with initial weights")
    .option("--init-prefix <prefix>", "what the names of its tensors begin with", "")
    .option("--batches <file>", "safetensors file with batches [n, rows, d_in] to read instead")
    .option("--steps <n>", "steps to run; the schedules stay the config's", count)
    .option("--device <name>", "auto, cpu, cuda, webgpu, dml or coreml", device)
    .option("--threads <n>", "threads of the device", count)
    .option("--priority <level>", "low, so that hovers stay fast, or normal", priority, "low")
    .option("--allow-differences", "resume although the end will not be bit-identical")
    .action(async (run: string, options) => {
      const show = shower(options.json === true);
      const result = await train({
        ...options,
        path: run,
        resume: options.resume === true,
        init: options.init && { file: options.init, prefix: options.initPrefix },
        allowDifferences: options.allowDifferences === true,
        program: version,
        signal,
        onStep: show.step,
        onProgress: show.progress,
      });
      if (!options.json) print(endText(result, run, options));
      if (result.state === "stopped") signal.throwIfAborted();
    });
}

function addHarvest(verbs: RunVerbs): void {
  verb(verbs, "harvest", "write activations of a corpus at hook points to shards on disk")
    .requiredOption("--lm <path>", "language model: folder, .gguf file or Hub id")
    .requiredOption(
      "--files <paths...>",
      "texts: .txt, .md, .jsonl, also .gz, .parquet, folders of them, or hf://datasets/org/name",
    )
    .requiredOption("--hooks <list>", "hook points, separated by commas")
    .requiredOption("--output <folder>", "folder for the shards")
    .option("--dtype <type>", "float32, float16 or bfloat16", shardDType, "float16")
    .option("--shard-mib <n>", "size of a shard in MiB", count, 256)
    .option("--policy <json>", 'further keys of "data" in a run file, as JSON', json, {})
    .option("--ctx <n>", "tokens of a window", count)
    .option("--max-tokens <n>", "tokens to take at most", count)
    .option("--device <name>", "auto, cpu, cuda, webgpu, dml or coreml", device)
    .option("--threads <n>", "threads of the device", count)
    .option("--priority <level>", "low, so that hovers stay fast, or normal", priority, "low")
    .option("--dry-run", "only say how much it would write")
    .action(async (options) => {
      const show = shower(options.json === true);
      const { ctx, maxTokens, policy, lm, files } = options;
      const given = { ...policy, ...defined({ ctx, maxTokens }), kind: "files", lm, files };
      const result = await harvest({
        ...options,
        data: parseFilesConfig(given, "harvest", process.cwd()),
        hooks: options.hooks.split(",").map((it: string) => it.trim()),
        output: resolve(options.output),
        shardBytes: options.shardMib * 2 ** 20,
        dryRun: options.dryRun === true,
        signal: verbs.signal,
        onPlan: (plan) => options.json || print(planText(plan)),
        onProgress: show.progress,
      });
      print(options.json ? JSON.stringify(result) : resultText(result));
    });
}

function verb({ program }: RunVerbs, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .option("--json", "print JSON");
}

/** What is printed while a run works: every step as JSON, or some for people, at most one in a second. */
function shower(isJson: boolean): {
  step: (line: StepLine, speed: StepSpeed) => void;
  progress: (text: string) => void;
} {
  let last = 0;
  /** Lines of the SAEs that took the present step. */
  let lines: StepLine[] = [];
  const sparsely = (text: () => string): void => {
    const now = performance.now();
    if (isJson || now - last < lineMs) return;
    last = now;
    print(text());
  };
  return {
    step(line, speed) {
      if (isJson) {
        print(JSON.stringify(line));
        return;
      }
      lines.push(line);
      if (lines.length < speed.training) return;
      sparsely(() => stepText(lines, speed));
      lines = [];
    },
    progress: (text) => sparsely(() => text),
  };
}

function endText(
  { state, step, steps, saes }: RunResult,
  run: string,
  { output }: { readonly output?: string },
): string {
  const text = `${state} after step ${step} of ${steps}`;
  if (state === "stopped") return `${text}; to go on: train ${output ?? run} --resume`;
  const folders = saes.map(({ name, path }) => (path === undefined ? "" : `\n  ${name}: ${path}`));
  return `${text}${folders.join("")}`;
}

function planText({ output, rows, hooks, dtype, shards, bytes, freeBytes }: HarvestPlan): string {
  const names = Object.entries(hooks).map(([hook, width]) => `${hook} [${width}]`);
  return `${output}: ${rows} rows of ${names.join(", ")} as ${dtype}, ${shards} shards, ${gib(bytes)} of ${gib(freeBytes)} free`;
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

function resultText(result: HarvestPlan | HarvestResult): string {
  if (!("seconds" in result)) return "nothing was written (--dry-run)";
  const { resumedFrom, shards, seconds, tokensPerSecond } = result;
  return `${shards - resumedFrom} shards in ${seconds.toFixed(1)} s, ${tokensPerSecond} tokens/s`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function priority(value: string): RunPriority {
  return oneOf(value, ["low", "normal"]);
}

function shardDType(value: string): ShardDType {
  return oneOf(value, ["float32", "float16", "bfloat16"]);
}
