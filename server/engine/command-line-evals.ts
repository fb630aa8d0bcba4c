/** The verbs that evaluate: `evaluate`. */
import type { Command } from "commander";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { UserError } from "../base/errors.ts";
import { writeFileAtomic } from "../files/disk.ts";
import {
  collect,
  count,
  countOrNone,
  defined,
  device,
  fact,
  json,
} from "./command-line-options.ts";
import { type Evaluated, evaluate } from "./evals/evaluate.ts";
import type { PromptSource } from "./evals/prompts.ts";

/** Progress for people comes no more often than this. */
const lineMs = 1000;

/** Adds the verbs. */
export function addEvalVerbs({
  program,
  version,
  signal,
}: {
  readonly program: Command;
  readonly version: string;
  readonly signal: AbortSignal;
}): void {
  program
    .command("evaluate")
    .description("measure SAEs on tokens: SAEBench's core metrics under its names")
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .option("--json", "print SAEBench's JSON: an object, or a list for several SAEs")
    .requiredOption("--lm <path>", "language model: folder, .gguf file or Hub id")
    .requiredOption("--sae <path>", "SAE; may be given several times", collect, [])
    .option("--fact <key=value>", "what an SAE's format does not store, e.g. k=50", fact, {})
    .option("--tokens <file>", "safetensors file with token ids [prompts, tokens], taken as is")
    .option("--files <paths...>", "texts instead, as for harvest")
    .option("--ctx <n>", "tokens of a prompt made of texts; default: the SAE's", count)
    .option("--max-tokens <n>", "tokens of texts to take; default 32768", count)
    .option("--policy <json>", 'further keys of "data" in a run file, as JSON', json, {})
    .option("--batch <n>", "prompts of a batch, on which a few figures depend", count, 16)
    .option(
      "--reconstruction-batches <n>",
      "batches whose next-token losses are compared; 0 for none",
      countOrNone,
      10,
    )
    .option(
      "--variance-batches <n>",
      "batches whose reconstruction is measured; default: all",
      count,
    )
    .option("--ignore-special", "leave BOS, EOS and the like out, and unreplaced")
    .option("--no-directions", "do not compare latents' directions with each other")
    .option("--details", "an entry for every latent in the JSON")
    .option("--output <file>", "also write the JSON to a file, with details")
    .option("--device <name>", "auto, cpu, cuda, webgpu, dml or coreml", device, "auto")
    .option("--threads <n>", "threads of the device", count, availableParallelism())
    .action(async (options) => {
      const found = await evaluate({
        ...options,
        saes: options.sae,
        facts: options.fact,
        prompts: promptsOf(options),
        ignoreSpecial: options.ignoreSpecial === true,
        program: `latent-workbench ${version}`,
        signal,
        onProgress: options.json ? () => {} : sparsely(),
      });
      const text = (details: boolean): string => {
        const all = found.map((it) => it.json({ details }));
        return JSON.stringify(all.length === 1 ? all[0] : all);
      };
      if (options.output !== undefined) {
        writeFileAtomic(resolve(options.output), `${text(true)}\n`);
      }
      print(options.json ? text(options.details === true) : tableOf(found));
    });
}

function promptsOf(options: {
  tokens?: string;
  files?: string[];
  ctx?: number;
  maxTokens?: number;
  policy: Record<string, unknown>;
}): PromptSource {
  const { tokens, files, ctx, maxTokens, policy } = options;
  if ((tokens === undefined) === (files === undefined))
    throw new UserError("usage", "give either --tokens or --files");
  if (files) return { kind: "files", files, policy: { ...policy, ...defined({ ctx, maxTokens }) } };
  return { kind: "tokens", file: tokens! };
}

/** Figures for people: one column for each SAE. */
function tableOf(found: readonly Evaluated[]): string {
  const rows: [string, (it: Evaluated) => number | undefined][] = [
    ["L0", ({ result }) => result.metrics.sparsity.l0],
    ["L1", ({ result }) => result.metrics.sparsity.l1],
    ["FVU", ({ result }) => result.own.fvu],
    ["explained variance", ({ result }) => result.own.explainedVariance],
    [
      "explained variance (sae-bench)",
      ({ result }) => result.metrics.reconstruction_quality.explained_variance,
    ],
    [
      "explained variance (legacy)",
      ({ result }) => result.metrics.reconstruction_quality.explained_variance_legacy,
    ],
    ["cosine of x and x_hat", ({ result }) => result.metrics.reconstruction_quality.cossim],
    ["‖x_hat‖ / ‖x‖", ({ result }) => result.metrics.shrinkage.l2_ratio],
    ["reconstruction bias", ({ result }) => result.metrics.shrinkage.relative_reconstruction_bias],
    ["CE loss", ({ result }) => result.metrics.model_performance_preservation?.ce_loss_without_sae],
    [
      "CE loss with SAE",
      ({ result }) => result.metrics.model_performance_preservation?.ce_loss_with_sae,
    ],
    [
      "CE loss with zeros",
      ({ result }) => result.metrics.model_performance_preservation?.ce_loss_with_ablation,
    ],
    ["CE loss score", ({ result }) => result.metrics.model_performance_preservation?.ce_loss_score],
    ["KL score", ({ result }) => result.metrics.model_behavior_preservation?.kl_div_score],
    ["alive", ({ result }) => result.metrics.misc_metrics.frac_alive],
    ["active on more than 1 %", ({ result }) => result.metrics.misc_metrics.freq_over_1_percent],
    [
      "mean largest decoder cosine",
      ({ result }) => result.metrics.misc_metrics.average_max_decoder_cosine_sim,
    ],
    ["tokens", ({ result }) => result.metrics.token_stats.total_tokens_eval_sparsity_variance],
  ];
  const cells = [
    ["", ...found.map(({ sae }) => sae)],
    ...rows.map(([name, figure]) => [name, ...found.map((it) => shown(figure(it)))]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const lines = cells.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!)))
      .join("  ")
      .trimEnd(),
  );
  const notes = found.flatMap(({ sae, result }) => result.notes.map((note) => `${sae}: ${note}`));
  return [...lines, ...notes].join("\n");
}

function shown(figure: number | undefined): string {
  if (figure === undefined) return "–";
  return Number.isInteger(figure) ? String(figure) : figure.toPrecision(5);
}

function sparsely(): (text: string) => void {
  let last = 0;
  return (text) => {
    const now = performance.now();
    if (now - last < lineMs) return;
    last = now;
    process.stderr.write(`${text}\n`);
  };
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
