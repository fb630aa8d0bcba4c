/** The verb `index`. */
import type { Command } from "commander";
import { basename, dirname, join, resolve } from "node:path";
import { UserError } from "../base/errors.ts";
import { count, device, json, oneOf } from "./command-line-options.ts";
import type { RunVerbs } from "./command-line-runs.ts";
import { buildIndexRun, type IndexResult } from "./index/index-run.ts";

/** How all verbs of runs are added and print. */
interface VerbTools {
  readonly verb: (verbs: RunVerbs, name: string, description: string) => Command;
  readonly shower: (isJson: boolean) => { readonly progress: (text: string) => void };
  readonly print: (text: string) => void;
}

/** Adds the verb. */
export function addIndex(verbs: RunVerbs, { verb, shower, print }: VerbTools): void {
  verb(verbs, "index", "build the index of an SAE's latents over a corpus, for the explorer")
    .argument("[run]", "folder of an index to start or go on with")
    .option("--lm <path>", "language model: folder, .gguf file or Hub id", verbs.bundledLm)
    .option("--sae <path>", "SAE: folder, file or Hub id")
    .option("--files <paths...>", "texts: .txt, .md, .jsonl, also .gz, or folders of them")
    .option(
      "--output <folder>",
      "folder of the run; default: runs/index-SAE, where the editor looks",
    )
    .option("--memory-mib <n>", "memory beside the LM and the SAE", count)
    .option("--policy <json>", 'further keys of "data" in a run file, as JSON', json, {})
    .option("--ctx <n>", "tokens of a window", count)
    .option("--max-tokens <n>", "tokens to take at most", count)
    .option("--device <name>", "auto, cpu, cuda, webgpu, dml or coreml", device)
    .option("--threads <n>", "threads of the device", count)
    .option("--priority <level>", "low, so that hovers stay fast, or normal", priority, "low")
    .action(async (run: string | undefined, options) => {
      const { device, threads, priority } = options;
      const result = await buildIndexRun({
        ...(run === undefined ? begun(options) : { folder: folderOf(run) }),
        device,
        threads,
        priority,
        signal: verbs.signal,
        onProgress: shower(options.json === true).progress,
      });
      print(options.json ? JSON.stringify(result) : resultText(result));
    });
}

/** A new run from flags. */
function begun(options: {
  lm: string;
  sae?: string;
  files?: string[];
  output?: string;
  memoryMib?: number;
  policy: Record<string, unknown>;
  ctx?: number;
  maxTokens?: number;
}): { folder: string; given: Record<string, unknown> } {
  const { lm, sae, files, output, memoryMib, policy, ctx, maxTokens } = options;
  if (sae === undefined || files === undefined)
    throw new UserError("usage", "give the folder of an index, or --sae and --files");
  return {
    folder: resolve(output ?? join("runs", `index-${basename(resolve(sae))}`)),
    given: {
      kind: "index",
      sae,
      ...(memoryMib === undefined ? {} : { memoryMib }),
      data: {
        ...policy,
        ...(ctx === undefined ? {} : { ctx }),
        ...(maxTokens === undefined ? {} : { maxTokens }),
        kind: "files",
        lm,
        files,
      },
    },
  };
}

/** The folder itself, or that of its run file. */
function folderOf(run: string): string {
  return basename(run) === "run.jsonc" ? dirname(run) : run;
}

function resultText({
  folder,
  wasFinished,
  active,
  latents,
  tokens,
  seconds,
}: IndexResult): string {
  const what = `${active} of ${latents} latents are active somewhere in ${tokens} tokens`;
  return `${folder}: ${what}${wasFinished ? " (it was there)" : `, ${seconds.toFixed(1)} s`}`;
}

function priority(value: string): "low" | "normal" {
  return oneOf(value, ["low", "normal"]);
}
