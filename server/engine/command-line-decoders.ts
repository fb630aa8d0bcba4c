/** The verbs about decoders: `meta`, `stitch`. */
import { InvalidArgumentError } from "commander";
import { UserError } from "../base/errors.ts";
import type { EngineVerbs } from "./command-line.ts";
import { metaReport, printMetaReport } from "./verbs/meta.ts";
import { printStitchResult, stitchVerb } from "./verbs/stitch.ts";

/** Adds the verbs. */
export function addDecoderVerbs(verbs: EngineVerbs): void {
  addMeta(verbs);
  addStitch(verbs);
}

function addMeta({ verb, withEngine, signal }: EngineVerbs): void {
  verb("meta", "break an SAE's latents down into the latents of a meta-SAE")
    .requiredOption("--sae <path>", "the parent: the SAE whose decoder rows the meta-SAE reads")
    .requiredOption("--meta <path>", "the meta-SAE")
    .option("--latent <n>", "break this latent down; may be given several times", indices, [])
    .option("--meta-latent <n>", "list this meta-latent's members; may be repeated", indices, [])
    .option("--narrow <path>", "a narrower SAE on the same hook point to compare with")
    .option("--top <n>", "members and parts shown", index, 8)
    .action((options) =>
      withEngine(options, async (engine) => {
        const { latent: latents, metaLatent: metaLatents } = options;
        const report = await metaReport(engine, { ...options, latents, metaLatents, signal });
        print(options.json ? JSON.stringify(report) : printMetaReport(report));
      }),
    );
}

function addStitch({ verb, withEngine, signal }: EngineVerbs): void {
  verb("stitch", "tell a wide SAE's new latents from those that a narrow one has, too")
    .argument("<a>", "an SAE")
    .argument(
      "<b>",
      "another one on the same hook point; the one with fewer latents is the narrow one",
    )
    .requiredOption("--lm <path>", "language model")
    .option("--files <paths...>", "texts to measure on; default: the sample text", [])
    .option("--tokens <n>", "tokens to measure on", index, 4096)
    .option("--rule <rule>", "what makes a latent novel: effect or cosine", rule, "effect")
    .option("--ce-latents <n>", "latents whose effect on the cross-entropy is measured", index, 32)
    .option("--points <n>", "points of the path in each phase", index, 6)
    .option("--output <folder>", "write a stitched SAE in SAELens's format")
    .option("--insert <what>", "wide latents to insert: novel, none, or a list", chosen, "novel")
    .option(
      "--swap <what>",
      "groups to swap: none, reconstruction, everything, or those of wide latents in a list",
      chosen,
      "none",
    )
    .action((a: string, b: string, options) =>
      withEngine(options, async (engine) => {
        const { insert, swap } = options;
        const words = { insert: ["novel", "none"], swap: ["none", "reconstruction", "everything"] };
        for (const [key, value] of Object.entries({ insert, swap }))
          if (typeof value === "string" && !words[key as "insert" | "swap"].includes(value))
            throw new UserError(
              "usage",
              `--${key} is ${value}; expected ${words[key as "insert" | "swap"].join(", ")} or latents separated by commas`,
            );
        const result = await stitchVerb(engine, { ...options, saes: [a, b], signal });
        print(options.json ? JSON.stringify(result) : printStitchResult(result));
      }),
    );
}

function chosen(value: string): string | number[] {
  return /^[\d,\s]+$/.test(value) ? value.split(",").map(index) : value;
}

function rule(value: string): string {
  if (value !== "cosine" && value !== "effect")
    throw new InvalidArgumentError("expected cosine or effect.");
  return value;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function index(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0)
    throw new InvalidArgumentError("expected a whole number from 0.");
  return number;
}

function indices(value: string, all: readonly number[]): number[] {
  return [...all, index(value)];
}
