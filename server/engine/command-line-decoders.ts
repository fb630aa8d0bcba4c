/** The verbs about decoders: `meta`. */
import { type Command, InvalidArgumentError } from "commander";
import type { CommonOptions } from "./command-line.ts";
import type { Engine } from "./engine.ts";
import { metaReport, printMetaReport } from "./verbs/meta.ts";

/** What these verbs need of the program around them. */
export interface DecoderVerbs {
  /** A new verb with the common options. */
  readonly verb: (name: string, description: string) => Command;
  /** Opens an engine for some work. */
  readonly withEngine: <T>(
    options: CommonOptions,
    work: (engine: Engine) => Promise<T>,
  ) => Promise<T>;
  readonly signal: AbortSignal;
}

/** Adds the verbs. */
export function addDecoderVerbs({ verb, withEngine, signal }: DecoderVerbs): void {
  verb("meta", "break an SAE's latents down into the latents of a meta-SAE")
    .requiredOption("--sae <path>", "the parent: the SAE whose decoder rows the meta-SAE reads")
    .requiredOption("--meta <path>", "the meta-SAE")
    .option("--latent <n>", "break this latent down; may be given several times", indices, [])
    .option("--meta-latent <n>", "list this meta-latent's members; may be repeated", indices, [])
    .option("--narrow <path>", "a narrower SAE on the same hook point to compare with")
    .option("--top <n>", "members and parts shown", index, 8)
    .action((options) =>
      withEngine(options, async (engine) => {
        const report = await metaReport(engine, {
          ...options,
          metaLatents: options.metaLatent,
          latents: options.latent,
          signal,
        });
        print(options.json ? JSON.stringify(report) : printMetaReport(report));
      }),
    );
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
