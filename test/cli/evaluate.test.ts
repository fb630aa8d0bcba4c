// `evaluate` as a user runs it, on the demo.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { writeSafetensors } from "../../server/encoding/safetensors.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { repoRoot } from "../parts.ts";

const demo = join(repoRoot, "demo");
const scratch = mkdtempSync(join(tmpdir(), "latent-workbench-evaluate-"));
const lm = join(demo, "lm");
const sae = (name: string): string => join(demo, "saes", name);

function run(...args: string[]): { code: number | null; out: string; err: string } {
  const cli = [join(repoRoot, "dist/cli.js"), "evaluate", ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, cli, { encoding: "utf8" });
  return { code: status, out: stdout, err: stderr };
}

function tokensFile(name: string, rows: number, width: number, most = 4000): string {
  const file = join(scratch, name);
  // BOS first, as the demo's SAEs want it.
  const ids = Int32Array.from({ length: rows * width }, (_, i) =>
    i % width === 0 ? 0 : 3 + ((i * 7919) % most),
  );
  writeFileSync(file, writeSafetensors(new Map([["tokens", tensor("int32", [rows, width], ids)]])));
  return file;
}

test("texts: an SAE of the demo is far better than zeros, in SAEBench's words", () => {
  const output = join(scratch, "result.json");
  const files = join(demo, "self-check.txt");
  const common = ["--lm", lm, "--sae", sae("resid2-6144"), "--files", files];
  const { code, out, err } = run(...common, "--max-tokens", "512", "--output", output, "--json");
  expect(err).toBe("");
  expect(code).toBe(0);
  const found = JSON.parse(out);
  expect(found).toMatchObject({
    eval_type_id: "core",
    eval_config: { batch_size_prompts: 16, n_eval_reconstruction_batches: 1 },
    sae_lens_id: "resid2-6144",
  });
  const metrics = found.eval_result_metrics;
  expect(metrics.model_performance_preservation.ce_loss_score).toBeGreaterThan(0.8);
  expect(metrics.reconstruction_quality.explained_variance).toBeGreaterThan(0.5);
  expect(metrics.misc_metrics.average_max_decoder_cosine_sim).toBeGreaterThan(0);
  const own = found.eval_result_unstructured.latent_workbench;
  expect(own.fvu + own.explained_variance).toBeCloseTo(1, 12);
  expect(JSON.parse(readFileSync(output, "utf8")).eval_result_details).toHaveLength(6144);
});

test("tokens: several SAEs side by side, for people", () => {
  const tokens = tokensFile("two.safetensors", 2, 24);
  const saes = ["--sae", sae("resid2-6144"), "--sae", sae("resid2-1024")];
  const { code, out } = run("--lm", lm, ...saes, "--tokens", tokens, "--no-directions");
  expect(code).toBe(0);
  expect(out).toMatch(/resid2-6144 +resid2-1024/);
  expect(out).toMatch(/CE loss score +\S+ +\S+\n/);
  expect(out).toMatch(/tokens +48 +48\n/);
});

test.each([
  [["--tokens", "TOKENS", "--files", "x.txt"], "usage", /either --tokens or --files/],
  [["--tokens", "FOREIGN"], "bad-id", /vocabulary of .* ends at 8191/],
  [["--tokens", "LONG"], "prompt-too-long", /a prompt has 257 tokens/],
  [["--tokens", join(lm, "model.safetensors")], "no-prompts", /expected one tensor/],
])("what cannot be evaluated is refused: %j", (options, code, text) => {
  const files: Record<string, string> = {
    TOKENS: tokensFile("few.safetensors", 1, 4),
    FOREIGN: tokensFile("foreign.safetensors", 1, 4000, 100_000),
    LONG: tokensFile("long.safetensors", 1, 257),
  };
  const given = options.map((it) => files[it] ?? it);
  const found = run("--lm", lm, "--sae", sae("resid2-1024"), "--json", ...given);
  expect(found.code).toBe(1);
  expect(JSON.parse(found.err).error).toEqual({ code, text: expect.stringMatching(text) });
});
