/** The verb `toy`: an SAE on features that are known, and what became of them. */
import { type Command, InvalidArgumentError } from "commander";
import { resolve } from "node:path";
import { readText } from "../files/disk.ts";
import {
  toyArchitectures,
  type ToyArchitecture,
  type ToyKnobs,
  type ToyProgress,
  type ToyResult,
} from "../protocol/toy.ts";
import { openDevice } from "../runtime/device.ts";
import { runToy } from "../toy/toy.ts";
import { parseToyConfig, withKnobs } from "../toy/toy-config.ts";
import { parseJsonc } from "./runs/jsonc.ts";
import { lowerPriority } from "./runs/priority.ts";

/** Lines of progress come no more often than this. */
const lineMs = 100;

/** What a toy SAE may take at most; one of thousands of latents takes a few megabytes. */
const memoryBudget = 2 ** 31;

/** Adds the verb. */
export function addToyVerb({ program, signal }: { program: Command; signal: AbortSignal }): void {
  program
    .command("toy")
    .description("train an SAE on synthetic features and measure recovery, absorption, splitting")
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .argument("[config]", "config file (.jsonc); options win over it")
    .option("--features <n>", "number of features (12)", size)
    .option("--parents <n>", "features that have children (2)", count)
    .option("--children <n>", "children of each parent (2)", count)
    .option("--hierarchy <share>", "how far children need their parent (1)", share)
    .option("--co-occurrence <share>", "how far the two of a pair go together (0)", share)
    .option("--architecture <name>", `${toyArchitectures.join(", ")} (standard)`, architecture)
    .option("--l1 <c>", "weight of the penalty: standard, gated; of L0: jumprelu (0.1)", number)
    .option("--k <k>", "active latents: topk, batchtopk, matryoshka (as many as features)", number)
    .option("--tied", "one matrix for encoder and decoder")
    .option("--no-tied", "two matrices, whatever the file says")
    .option("--adversary <c>", "penalty on what a meta-SAE explains, trained beside (0)", number)
    .option("--latents <n>", "number of latents (as many as features)", size)
    .option("--steps <n>", "steps of training (2000)", size)
    .option("--seed <n>", "seed of features, rows and initial weights (0)", count)
    .option("--progress", "with --json: lines of progress before the result")
    .option("--json", "print JSON")
    .action(async (file: string | undefined, options) => {
      const { json, progress, ...knobs } = options as ToyKnobs & {
        json?: boolean;
        progress?: boolean;
      };
      const base = file === undefined ? {} : parseJsonc(readText(resolve(file)), file);
      const config = parseToyConfig(withKnobs(base, knobs), file ?? "the options");
      if (progress) {
        lowerPriority("low");
        // Who wanted to hear of it is gone.
        process.stdout.once("error", () => process.exit(1));
      }
      const start = performance.now();
      // One thread: products of matrices this small take longer to share than to compute.
      const { device } = await openDevice({ device: "cpu", threads: 1, memoryBudget });
      try {
        const onProgress = progress && json ? sparsely(print) : undefined;
        const found = await runToy(config, { device, signal, onProgress });
        const result: ToyResult = { ...found, seconds: (performance.now() - start) / 1000 };
        print(json ? JSON.stringify(result) : toyText(result));
      } finally {
        await device.close();
      }
    });
}

function sparsely(write: (line: string) => void): (progress: ToyProgress) => void {
  let last = 0;
  return (progress) => {
    const now = performance.now();
    if (now - last < lineMs) return;
    last = now;
    write(JSON.stringify({ progress }));
  };
}

/** The result for people. */
export function toyText(result: ToyResult): string {
  const { features, parents, recovery, absorption, sae, split, seconds } = result;
  const width = Math.max(...features.map(({ name }) => name.length), 7);
  return [
    `${"feature".padEnd(width)}  frequency  latent  cosine  recall  precision`,
    ...features.map((it) =>
      [
        it.name.padEnd(width),
        figure(it.measuredFrequency).padStart(9),
        (it.latent === null ? "none" : `#${it.latent}`).padStart(6),
        figure(it.cosine).padStart(6),
        figure(it.recall).padStart(6),
        figure(it.precision).padStart(9),
        it.splitInto.length > 0 ? `split: ${it.splitInto.map((at) => `#${at}`).join(", ")}` : "",
      ]
        .join("  ")
        .trimEnd(),
    ),
    "",
    ...parents.map(
      ({ parent, children, absorbed, silent, carried }) =>
        `${features[parent]?.name} with ${children.map((at) => features[at]?.name).join(", ")}: absorbed ${figure(absorbed)}, silent ${figure(silent)}, carried ${figure(carried)}`,
    ),
    "",
    `recovery ${figure(recovery.matchedCosine)} (mean matched cosine), ${figure(recovery.recovered)} of the features with cosine 0.9 or more`,
    `absorption ${figure(absorption.absorbed)} (share of rows with parent and child), carried by children ${figure(absorption.carried)}`,
    `split features ${figure(split)}, L0 ${figure(sae.l0)} (features ${figure(sae.trueL0)}), FVU ${sae.fvu.toFixed(4)}, dead latents ${sae.dead}, ${seconds.toFixed(1)} s`,
  ].join("\n");
}

function figure(value: number | null): string {
  return value === null ? "–" : value.toFixed(2);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function number(value: string): number {
  const found = Number(value);
  if (value.trim() === "" || !Number.isFinite(found) || found < 0)
    throw new InvalidArgumentError("expected a number, 0 or above.");
  return found;
}

function share(value: string): number {
  const found = number(value);
  if (found > 1) throw new InvalidArgumentError("expected a number from 0 to 1.");
  return found;
}

function count(value: string): number {
  const found = number(value);
  if (!Number.isInteger(found))
    throw new InvalidArgumentError("expected a whole number, 0 or above.");
  return found;
}

function size(value: string): number {
  const found = count(value);
  if (found < 1) throw new InvalidArgumentError("expected a whole number from 1.");
  return found;
}

function architecture(value: string): ToyArchitecture {
  const found = toyArchitectures.find((it) => it === value);
  if (found === undefined)
    throw new InvalidArgumentError(`expected one of ${toyArchitectures.join(", ")}.`);
  return found;
}
