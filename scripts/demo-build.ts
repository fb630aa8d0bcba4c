/**
 * Rebuilds the SAEs of the bundled demo from its language model, with the command line alone:
 *
 *     npm run demo:build -- --corpus DIR [--work DIR] [--tokens N] [--steps N] [--replace]
 *
 * Texts, activations, the two SAEs of the residual stream in one pass, the meta-SAE of the wide one's decoder rows, labels,
 * and a comparison with the present bundle on held-out text. Every stage is left out where its result is in the work folder,
 * and a training that was stopped goes on, so that it may be stopped at any time. `--replace` puts the new SAEs into `demo/`. It asks nothing
 * of the network. `demo/README.md` says what the recipe aims at; where it differs from the first bundle's, `recipe` says why.
 */
import { execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { carryLabels } from "./demo-labels.ts";
import { writeTexts } from "./demo-texts.ts";

// Bundled to dist/dev/demo-build.js.
const repoRoot = join(dirname(fileURLToPath(import.meta.url)), "../..");
const program = join(repoRoot, "dist/cli.js");
const demo = join(repoRoot, "demo");
const lm = join(demo, "lm");
const hook = "blocks.2.hook_resid_post";
const names = ["resid2-1024", "resid2-6144"] as const;
const validationTokens = 68_000;

const { values: options } = parseArgs({
  options: {
    corpus: { type: "string" },
    work: { type: "string", default: join(repoRoot, "out/demo-build") },
    tokens: { type: "string", default: "1000000" },
    steps: { type: "string", default: "2500" },
    replace: { type: "boolean", default: false },
  },
});
if (options.corpus === undefined) throw new Error("--corpus DIR is missing: the folder of .txt.gz");
const work = resolve(options.work);
const tokens = Number(options.tokens);
const steps = Number(options.steps);
mkdirSync(work, { recursive: true });

await stage("texts", "validation.jsonl", () => {
  writeTexts({
    corpus: resolve(options.corpus!),
    lm,
    folder: work,
    tokens: tokens * 1.1,
    validationTokens,
  });
  return Promise.resolve();
});
await stage("activations", "activations/result.json", () => {
  const files = ["--files", join(work, "train.jsonl"), "--max-tokens", String(tokens)];
  const output = ["--output", join(work, "activations"), "--ctx", "256"];
  return cli("harvest", "--lm", lm, "--hooks", hook, ...files, ...output);
});
await stage("SAEs", "resid2/sae/resid2-6144/cfg.json", () => trainRun("resid2", residualRun()));
await stage("meta-SAE", "meta/sae/cfg.json", () => trainRun("meta", metaRun()));
await stage("figures", "figures.json", () => {
  const all = names.flatMap((name) => [
    ["--sae", join(demo, "saes", name)],
    ["--sae", built(name)],
  ]);
  const texts = ["--files", join(work, "validation.jsonl"), "--ctx", "256"];
  const amount = ["--max-tokens", String(validationTokens), "--ignore-special", "--no-directions"];
  const output = ["--output", join(work, "figures.json")];
  return cli("evaluate", "--lm", lm, ...all.flat(), ...texts, ...amount, ...output);
});
compare();
const labels = carryAll();
if (options.replace) replace(labels);
else print("demo/ is unchanged; --replace puts these SAEs in the place of its own");

/**
 * What both SAEs of the residual stream share: BatchTopK with k = 16, Adam with lr 2e-3 and betas 0.9/0.99, 50 steps
 * of warm-up, linear decay over the last 40 %, rows of W_dec of norm 1, an auxiliary loss of 1/32 with 32 dead latents
 * after 60 steps of silence. The first bundle's trainer also moved dead latents to badly reconstructed inputs, and drew its
 * first directions from activations; the trainers here do neither for BatchTopK.
 */
function recipe(d_sae: number): Record<string, unknown> {
  return {
    architecture: "batchtopk",
    d_sae,
    k: 16,
    steps,
    lr: 2e-3,
    adam: { beta1: 0.9, beta2: 0.99 },
    lrSchedule: { kind: "chained", warmUpSteps: 50, decaySteps: Math.floor(0.4 * steps) },
    decoder: { kind: "unit" },
    init: { decoderNorm: 1, b_dec: "geometric_median" },
    aux: { coefficient: 1 / 32, k: 32 },
    dead: { after: 60 },
    normalizeActivations: { kind: "scale", batches: 50 },
  };
}

function residualRun(): unknown {
  return {
    name: "resid2",
    data: { kind: "shards", folder: join(work, "activations"), epochs: 0 },
    batch: 2048,
    saes: names.map((name) => ({ name, hook, train: recipe(Number(name.split("-")[1])) })),
  };
}

/** The same method with k = 4, batches of 1,024 rows, lr 1e-3. */
function metaRun(): unknown {
  const { normalizeActivations: _, ...shared } = recipe(512);
  const train = { ...shared, k: 4, lr: 1e-3, steps, metadata: {} };
  return {
    name: "meta",
    data: { kind: "decoder-rows", sae: built("resid2-6144"), epochs: 0 },
    batch: 1024,
    sae: { name: "meta-512", train },
  };
}

/** A new run, or one that was stopped. */
async function trainRun(name: string, config: unknown): Promise<void> {
  const folder = join(work, name);
  if (existsSync(join(folder, "run.jsonc"))) return cli("train", folder, "--resume");
  const file = join(work, `${name}.run.jsonc`);
  writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`);
  return cli("train", file, "--output", folder);
}

function built(name: string): string {
  // A run of one SAE writes it into sae/ itself.
  return name === "meta-512" ? join(work, "meta/sae") : join(work, "resid2/sae", name);
}

/** Figures of both bundles in a line each. */
function compare(): void {
  const path = join(work, "figures.json");
  const results = JSON.parse(readFileSync(path, "utf8")) as Evaluation[];
  print("SAE           bundle   FVU     L0     never fired  CE with SAE  CE score");
  for (const [at, result] of results.entries()) {
    const { model_performance_preservation: loss, sparsity } = result.eval_result_metrics;
    const { fvu, dead } = result.eval_result_unstructured.latent_workbench;
    print(
      [
        (names[Math.floor(at / 2)] ?? "").padEnd(12),
        at % 2 === 0 ? "present" : "new    ",
        fvu.toFixed(4),
        sparsity.l0.toFixed(1).padStart(5),
        `${(100 * dead).toFixed(1)} %`.padStart(11),
        loss.ce_loss_with_sae.toFixed(3).padStart(11),
        loss.ce_loss_score.toFixed(4).padStart(8),
      ].join("  "),
    );
  }
  print("meta-512      bundle   explained  shuffled  L0   dead");
  for (const [bundle, folder] of [
    ["present", (name: string) => join(demo, "saes", name)],
    ["new    ", built],
  ] as const) {
    const meta = ["meta", "--sae", folder("resid2-6144"), "--meta", folder("meta-512"), "--json"];
    const output = execFileSync(process.execPath, [program, ...meta], { maxBuffer: 2 ** 28 });
    const { summary } = JSON.parse(output.toString()) as { summary: Decomposed };
    print(
      [
        `${"".padEnd(12)}  ${bundle}`,
        summary.varianceExplained.toFixed(3).padStart(9),
        summary.shuffledEntries.toFixed(3).padStart(8),
        summary.l0.toFixed(1),
        summary.dead,
      ].join("  "),
    );
  }
}

/** What `meta` writes of a meta-SAE, as far as it is shown here. */
interface Decomposed {
  readonly varianceExplained: number;
  readonly shuffledEntries: number;
  readonly l0: number;
  readonly dead: number;
}

/** What `evaluate` writes of an SAE, as far as it is shown here. */
interface Evaluation {
  readonly eval_result_metrics: {
    readonly model_performance_preservation: {
      readonly ce_loss_score: number;
      readonly ce_loss_with_sae: number;
    };
    readonly sparsity: { readonly l0: number };
  };
  readonly eval_result_unstructured: {
    readonly latent_workbench: { readonly fvu: number; readonly dead: number };
  };
}

function carryAll(): Map<string, unknown> {
  const all = new Map<string, unknown>();
  let wide: ReadonlyMap<number, number> | undefined;
  for (const name of [...names, "meta-512"]) {
    const found = carryLabels(join(demo, "saes", name), built(name), wide);
    if (name === "resid2-6144") wide = found.counterparts;
    all.set(name, found.labels);
    const kept = Object.keys(found.labels).length;
    const same = (100 * found.sameShare).toFixed(1);
    print(`${name}: ${kept} of ${found.before} labels kept; ${same} % of the latents are the same`);
  }
  return all;
}

function replace(labelled: ReadonlyMap<string, unknown>): void {
  for (const [name, kept] of labelled) {
    const target = join(demo, "saes", name);
    rmSync(target, { recursive: true });
    cpSync(built(name), target, { recursive: true });
    writeFileSync(join(target, "labels.json"), `${JSON.stringify(kept, null, 2)}\n`);
  }
  print("demo/saes is replaced: measure anew what demo/README.md and the tests say about it");
}

async function stage(name: string, result: string, work_: () => Promise<void>): Promise<void> {
  const path = join(work, result);
  if (existsSync(path)) {
    print(`${name}: there already`);
    return;
  }
  print(`${name}…`);
  await work_();
  if (!existsSync(path)) throw new Error(`${name} did not write ${path}`);
}

/** Runs a verb; a signal that ends this program lets the verb write its checkpoint first. */
function cli(...args: readonly string[]): Promise<void> {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: "inherit" });
    const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on("SIGTERM", pass).on("SIGINT", pass);
    child.on("error", failed);
    child.on("close", (code) => {
      process.off("SIGTERM", pass).off("SIGINT", pass);
      if (code === 0) done();
      else
        failed(new Error(`latent-workbench ${args[0]} ended with ${code}; start again to go on`));
    });
  });
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
