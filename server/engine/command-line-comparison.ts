/** The verbs that compare texts: `diff` and `counterfactual`. */
import type { Command } from "commander";
import { UserError } from "../base/errors.ts";
import type { CommonOptions, EngineVerbs } from "./command-line.ts";
import { count, countOrNone, oneOf } from "./command-line-options.ts";
import type { Engine } from "./engine.ts";
import { type ComparisonModels, diffFiles, leaveOut } from "./verbs/comparison.ts";
import { printCounterfactual, printDiff } from "./verbs/print-comparison.ts";

/** What the verbs need of the program around them. */
export interface ComparisonVerbs extends EngineVerbs {
  readonly bundled: { readonly lm: string; readonly saes: readonly { readonly path: string }[] };
}

/** Adds the verbs. */
export function addComparisonVerbs(verbs: ComparisonVerbs): void {
  addDiff(verbs);
  addCounterfactual(verbs);
}

function addDiff(verbs: ComparisonVerbs): void {
  const command = verbs
    .verb("diff", "show which latents appear, vanish and change from one text to another")
    .argument("<before>", "a text, prompt or chat file")
    .argument("<after>", "another one, or another version of it");
  modelOptions(command, verbs)
    .option(
      "--tokens <which>",
      "count all tokens, or only those of both texts: shared",
      tokens,
      "all",
    )
    .option("--top <n>", "latents of each kind shown for each pair of contexts", count, 20)
    .action((before: string, after: string, options) =>
      verbs.withEngine(options as CommonOptions, async (engine) => {
        const models = await modelsOf(engine, verbs, options);
        const asked = { ...options, ...models, before, after, signal: verbs.signal };
        const result = await diffFiles(engine, asked);
        print(options.json ? JSON.stringify(result) : printDiff(result));
      }),
    );
}

function addCounterfactual(verbs: ComparisonVerbs): void {
  const command = verbs
    .verb(
      "counterfactual",
      "leave out each sentence in turn and show which latents elsewhere change",
    )
    .argument("<file>", "a text, prompt or chat file");
  modelOptions(command, verbs)
    .option("--context <n>", "which context of the file, from 0", countOrNone, 0)
    .option("--top <n>", "latents for each pair of sentences", count, 8)
    .action((file: string, options) =>
      verbs.withEngine(options as CommonOptions, async (engine) => {
        const models = await modelsOf(engine, verbs, options);
        engine.onProgress = ({ text }) => tell(text);
        const result = await leaveOut(engine, {
          ...options,
          ...models,
          file,
          signal: verbs.signal,
        });
        tell("");
        print(options.json ? JSON.stringify(result) : printCounterfactual(result));
      }),
    );
}

/** How far it is, in a line that the next one replaces. */
function tell(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${text}`);
}

function modelOptions(command: Command, { bundled }: ComparisonVerbs): Command {
  return command
    .option("--lm <path>", "language model: folder, .gguf file or Hub id", bundled.lm)
    .option("--sae <path>", "SAE: folder, file or Hub id")
    .option("--contexts <rule>", "file, blocks, paragraphs or lines", contexts);
}

/** Loads what was named; the demo's SAE for the demo's model. */
async function modelsOf(
  engine: Engine,
  { bundled }: ComparisonVerbs,
  options: { lm: string; sae?: string },
): Promise<ComparisonModels> {
  const path = options.sae ?? (options.lm === bundled.lm ? bundled.saes[0]?.path : undefined);
  if (path === undefined)
    throw new UserError("no-sae", `no SAE is given for ${options.lm}; give one with --sae`);
  const lm = await engine.loadLm({ path: options.lm });
  return { lm, sae: await engine.loadSae({ path, lm: lm.id }) };
}

function contexts(value: string): string {
  return oneOf(value, ["file", "blocks", "paragraphs", "lines"]);
}

function tokens(value: string): string {
  return oneOf(value, ["all", "shared"]);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
