// Runs that are killed at any moment and resumed end with the same bits as one that was not, and take over where they were.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { seeded } from "../random.ts";
import { repoRoot } from "../parts.ts";
import { type Ended, json, jsonLines, runCli, scratch, startCli } from "./run-cli.ts";
import { sameMachine, stepsOf, tinyTrain, writeBatches, writeRun } from "./tiny-run.ts";

/** How many kills there are: a hundred where everything is asked for. */
const nKills = Number(process.env["RUN_KILLS"] ?? (process.env["REQUIRE_ALL"] === "1" ? 100 : 25));

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test(
  `${nKills} kills at random moments change no bit`,
  async () => {
    const file = writeRun("tiny", {
      data: { kind: "batches", file: writeBatches("tiny.safetensors") },
      sae: { train: tinyTrain },
      checkpoint: { everySteps: 7 },
    });
    const reference = join(scratch, "tiny-reference");
    const began = performance.now();
    const whole = await runCli("train", file, "--output", reference, ...sameMachine);
    expect(whole.err).toBe("");
    const duration = performance.now() - began;
    const random = seeded(1);
    let kills = 0;
    let resumedInside = 0;
    for (let run = 0; kills < nKills; run++) {
      const folder = join(scratch, `tiny-${run}`);
      let ended: Ended;
      do {
        // As short as it may be, some lives must be long enough to get on.
        if (kills >= nKills) ended = await live(file, folder, Infinity);
        else if (random() < 0.6) ended = await live(file, folder, random() * 1.2 * duration);
        // However slow the machine has become since: these are killed inside.
        else ended = await killAfter(Math.floor(random() * 120), file, folder);
        if (ended.signal === "SIGKILL") kills++;
        else expect(ended.err).toBe("");
      } while (ended.signal === "SIGKILL");
      const result = json(folder, "result.json");
      expect(result).toMatchObject({ state: "finished", step: 200, bitIdentical: true });
      if ((result["resumedFrom"] as number | null) !== null) {
        resumedInside++;
        expect(result["stepsRun"]).toBeLessThan(200);
        expect(result["stepsRun"]).toBe(200 - (result["resumedFrom"] as number));
      }
      expectSame(folder, reference, ["parameters.safetensors", "sae/sae_weights.safetensors"]);
      rmSync(folder, { recursive: true });
    }
    expect(resumedInside).toBeGreaterThan(0);
  },
  20_000 * (nKills + 20),
);

test("kills while texts go through a model, with two SAEs on the same batches", async () => {
  const file = writeRun("demo", {
    data: {
      kind: "files",
      lm: join(repoRoot, "demo/lm"),
      files: [join(repoRoot, "demo/self-check.txt")],
      ctx: 64,
    },
    batch: 64,
    buffer: { rows: 768, seed: 3 },
    saes: [
      {
        name: "wide",
        hook: "blocks.1.hook_resid_post",
        train: { ...tinyTrain, steps: 30, normalizeActivations: { kind: "scale", batches: 3 } },
      },
      {
        name: "relu",
        hook: "blocks.0.hook_mlp_out",
        train: {
          architecture: "standard",
          d_sae: 96,
          steps: 30,
          lr: 1e-3,
          sparsity: { kind: "l1", coefficient: 0.1 },
        },
      },
    ],
    checkpoint: { everySteps: 3 },
  });
  const reference = join(scratch, "demo-reference");
  expect((await runCli("train", file, "--output", reference, ...sameMachine)).err).toBe("");
  const folder = join(scratch, "demo-killed");
  const seen: number[] = [];
  // Kills that surely hit between steps, beside those at random moments above.
  for (const lines of [1, 17, 40]) {
    const ended = await killAfter(lines, file, folder);
    seen.push(...jsonLines(ended.out).map((line) => line["step"] as number));
  }
  const last = await live(file, folder, Infinity);
  expect(last.err).toBe("");
  const own = jsonLines(last.out);
  expect(own.length).toBeLessThan(60);
  expect(own[0]?.["step"]).toBeGreaterThan(0);
  expect(new Set(own.map((line) => line["sae"]))).toEqual(new Set(["wide", "relu"]));
  expect(json(folder, "result.json")).toMatchObject({ stepsRun: own.length / 2 });
  expectSame(folder, reference, [
    "parameters/wide.safetensors",
    "parameters/relu.safetensors",
    "sae/wide/sae_weights.safetensors",
    "sae/relu/cfg.json",
  ]);
}, 240_000);

/** One life of a process that begins or resumes a run. */
async function live(file: string, folder: string, ms: number): Promise<Ended> {
  const { child, ended } = await startCli([...callFor(file, folder), "--json"]);
  const timer = Number.isFinite(ms) ? setTimeout(() => child.kill("SIGKILL"), ms) : undefined;
  const result = await ended;
  clearTimeout(timer);
  return result;
}

/** Kills as soon as so many lines were printed. */
async function killAfter(lines: number, file: string, folder: string): Promise<Ended> {
  const { ended } = await startCli([...callFor(file, folder), "--json"], (out, child) => {
    if (out.split("\n").length > lines) child.kill("SIGKILL");
  });
  return ended;
}

/** A run that was killed before its run.jsonc was there has not begun. */
function callFor(file: string, folder: string): string[] {
  return existsSync(join(folder, "run.jsonc"))
    ? ["train", folder, "--resume"]
    : ["train", file, "--output", folder, ...sameMachine];
}

function expectSame(folder: string, reference: string, files: readonly string[]): void {
  for (const name of files) {
    const same = readFileSync(join(folder, name)).equals(readFileSync(join(reference, name)));
    expect(same, `${name} is the same to the last bit`).toBe(true);
  }
  expect(stepsOf(folder)).toEqual(stepsOf(reference));
}
