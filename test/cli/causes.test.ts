import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { writeSafetensors } from "../../server/encoding/safetensors.ts";
import type { AttributionReading } from "../../server/protocol/interventions.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { repoRoot } from "../parts.ts";

const meta = join(repoRoot, "demo/saes/meta-512");
const text = "The ship sailed across the";

/** Runs a line of words without blanks, with further arguments as they are. */
function run(line: string, ...rest: string[]): { code: number | null; out: string; err: string } {
  const program = join(repoRoot, "dist/cli.js");
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [program, ...line.split(" "), ...rest],
    {
      encoding: "utf8",
    },
  );
  return { code: status, out: stdout, err: stderr };
}

interface Steered {
  original: { text: string; ids: number[]; loss: number };
  steered: { text: string; ids: number[]; loss: number };
  lossChange: number;
  kl: { mean: number; last: number };
  divergence: number[];
  tokens: unknown[];
  steps: string[];
}

function sum(list: readonly { attribution: number }[]): number {
  return list.reduce((all, it) => all + it.attribution, 0);
}

test("attribute --json: shares of latents, error and meta-latents add up, and ablation agrees", () => {
  const { code, out } = run(
    "attribute --ablate 12 --top 15 --json",
    "--text",
    text,
    "--meta",
    meta,
  );
  expect(code).toBe(0);
  const found = JSON.parse(out) as AttributionReading;
  expect(found.latents).toHaveLength(15);
  expect(sum(found.latents) + found.others + sum(found.error)).toBeCloseTo(found.sum, 4);
  expect(sum(found.meta!.latents) + found.meta!.rest).toBeCloseTo(
    sum(found.latents) + found.others,
    4,
  );
  expect(Math.abs(found.sum / (found.value - found.baseline) - 1)).toBeLessThan(0.05);
  expect(found.latents.filter((it) => it.effect !== undefined)).toHaveLength(12);
  expect(found.correlation).toBeGreaterThan(0.8);
  // The first position is left out unless it is asked for.
  expect(found.error.map((it) => it.position)).not.toContain(0);
});

test("attribute: one position, another token, less a third", () => {
  const { code, out } = run(
    "attribute --positions -1 --method gradient",
    "--text",
    text,
    "--target",
    " sea",
    "--minus",
    " river",
  );
  expect(code).toBe(0);
  expect(out).toMatch(/^logit of " sea" less logit of " river" after " the"/);
  expect(out).toContain("gradient × activation");
});

test("steer --json: both continuations, KL and the change of the loss", () => {
  const direction = join(mkdtempSync(join(tmpdir(), "latent-workbench-")), "d.safetensors");
  const vector = tensor("float32", [192], new Float32Array(192).fill(1));
  writeFileSync(direction, writeSafetensors(new Map([["probe", vector]])));
  const { code, out } = run(
    "steer --latent 139=+60 --max-new-tokens 8 --json",
    "--text",
    text,
    "--direction",
    `${direction}#probe=0.5`,
  );
  expect(code).toBe(0);
  const found = JSON.parse(out) as Steered;
  expect(found.steps).toEqual(["latent 139 + 60", "direction + 0.5"]);
  expect(found.original.ids).toHaveLength(8);
  expect(found.steered.text).not.toBe(found.original.text);
  expect(found.lossChange).toBeCloseTo(found.steered.loss - found.original.loss, 6);
  expect(found.divergence).toHaveLength(found.tokens.length);
  expect(found.divergence[0]).toBe(0);
  expect(found.kl.last).toBeGreaterThan(0);
});

test("steer: only what is written; what cannot be done is said", () => {
  const { out } = run(
    "steer --latent 139=+200 --positions generated --max-new-tokens 4 --json",
    "--text",
    text,
  );
  const found = JSON.parse(out) as Steered;
  expect(Math.max(...found.divergence)).toBe(0);
  expect(found.lossChange).toBe(0);
  const failing = (...args: string[]): string => {
    const { code, err } = run("steer", "--text", text, ...args);
    expect(code).toBe(1);
    return err;
  };
  expect(failing()).toMatch(/no latent, meta-latent or direction is given/);
  expect(failing("--latent", "139")).toMatch(/"139" has no amount: give it as 139=\+8/);
  expect(failing("--latent", "6144=1")).toMatch(/there is no latent 6144: they go from 0 to 6143/);
  expect(failing("--meta-latent", "3=1")).toMatch(/meta-latents are those of a meta-SAE/);
  const narrow = join(repoRoot, "demo/saes/resid2-1024");
  expect(failing("--latent", "1=2", "--meta", narrow)).toMatch(/resid2-1024 is no meta-SAE/);
});
