/** The verb `find`. */
import { basename } from "node:path";
import { UserError } from "../base/errors.ts";
import { readText } from "../files/disk.ts";
import type { ContextSource } from "../protocol/context.ts";
import { foundText } from "../protocol/find-text.ts";
import type { FindExample } from "../protocol/find.ts";
import { readContexts } from "../text/contexts.ts";
import { count, countOrNone, oneOf } from "./command-line-options.ts";
import type { EngineVerbs } from "./command-line.ts";

/** Adds the verb. */
export function addFindVerb(
  { verb, withEngine, signal }: EngineVerbs,
  bundled: { readonly lm: string; readonly saes: readonly { path: string; optional?: boolean }[] },
): void {
  verb("find", "latents that tell the texts of one file from those of another")
    .argument("<positive>", "file with examples, one a line; chat files: one a conversation")
    .argument("<negative>", "file with the other examples")
    .option("--lm <path>", "language model: folder, .gguf file or Hub id", bundled.lm)
    .option("--sae <path>", "SAE: folder, file or Hub id")
    .option("--contexts <rule>", "lines, paragraphs, blocks or file", contextRule, "lines")
    .option("--pool <how>", "max or mean of a latent's activations in an example", pool, "max")
    .option("--seed <n>", "splits the examples in halves", countOrNone, 0)
    .option("--top <n>", "latents shown", count, 20)
    .action((positive: string, negative: string, options) =>
      withEngine(options, async (engine) => {
        const lm = (await engine.loadLm({ path: options.lm })).id;
        const first = bundled.saes.find(({ optional }) => !optional)?.path;
        const path = options.sae ?? (options.lm === bundled.lm ? first : undefined);
        if (path === undefined)
          throw new UserError("no-sae", `no SAE is given for ${options.lm}; give one with --sae`);
        const { id: sae, labels } = await engine.loadSae({ path, lm });
        const contexts: ContextSource[] = [];
        const examples: FindExample[] = [];
        for (const [set, file] of [positive, negative].entries()) {
          const name = basename(file);
          const read = readContexts({ name, text: readText(file), rule: options.contexts });
          for (const context of read.contexts) {
            examples.push({ context: contexts.length, positive: set === 0 });
            contexts.push(context);
          }
        }
        const { pool, seed, top: most } = options;
        const params = { lm, sae, contexts, examples, pool, seed, most };
        const found = await engine.findLatents(params, signal);
        const text = options.json
          ? JSON.stringify({ schemaVersion: 1, lm, ...found })
          : foundText(found, labels);
        process.stdout.write(`${text}\n`);
      }),
    );
}

function contextRule(value: string): "lines" | "paragraphs" | "blocks" | "file" {
  return oneOf(value, ["lines", "paragraphs", "blocks", "file"]);
}

function pool(value: string): "max" | "mean" {
  return oneOf(value, ["max", "mean"]);
}
