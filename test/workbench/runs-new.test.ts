/** What the guided start writes, against the programs that read it. */
import { expect, expectTypeOf, test } from "vitest";
import { parseRunConfig } from "../../server/engine/runs/run-config.ts";
import type { TrainAnswers, TrainArchitecture } from "../../server/protocol/runs.ts";
import { parseTrainConfig, type TrainConfig } from "../../server/training/config.ts";
import { withAbsolutePaths } from "../../server/workbench/runs-adopt.ts";
import { runSummary } from "../../server/workbench/runs-config.ts";
import { newRunFile } from "../../server/workbench/runs-new.ts";

const answers: TrainAnswers = {
  name: "topk-resid_post-2-3072",
  architecture: "topk",
  lm: "/models/demo",
  hook: "blocks.2.hook_resid_post",
  corpus: ["/corpus/a.txt"],
  d_in: 192,
  d_sae: 3072,
  l0: 16,
  tokens: 500_000,
  n_ctx: 256,
  prependBos: true,
};
const settings = { device: "auto" };

const architectures: TrainArchitecture[] = [
  "batchtopk",
  "topk",
  "jumprelu",
  "matryoshka",
  "standard",
  "gated",
  "abstopk",
];

test("the protocol names what can be trained", () => {
  // Checked by the compiler.
  expectTypeOf<TrainArchitecture>().toEqualTypeOf<TrainConfig["architecture"]>();
});

test.each(architectures)("a guided %s run is a run file that can be trained", (architecture) => {
  const text = newRunFile({ ...answers, architecture }, settings);
  const run = parseRunConfig(text, "run.jsonc", "/w");
  expect(run.data).toMatchObject({ kind: "files", lm: "/models/demo", files: ["/corpus/a.txt"] });
  const [sae] = run.saes;
  const train = parseTrainConfig({ ...sae?.train, d_in: 192 }, "run.jsonc");
  expect(train).toMatchObject({ architecture, d_sae: 3072 });
  expect(Math.abs(train.steps * (run.batch ?? 0) - 500_000)).toBeLessThanOrEqual(2048);
  expect(runSummary(text, "run.jsonc")).toMatchObject({
    lm: "/models/demo",
    hook: "blocks.2.hook_resid_post",
    steps: train.steps,
    saes: [{ architecture, d_sae: 3072 }],
  });
});

test.each(architectures)("a guided %s meta-SAE reads decoder rows", (architecture) => {
  const meta = { architecture, name: "meta", d_in: 192, d_sae: 512, l0: 4 } as const;
  const more = { metaOf: "/saes/parent", corpus: [], tokens: 100_000 };
  const text = newRunFile({ ...meta, ...more }, { device: "cpu" });
  const run = parseRunConfig(text, "run.jsonc", "/w");
  expect(run).toMatchObject({ data: { kind: "decoder-rows", sae: "/saes/parent" }, device: "cpu" });
  const train = parseTrainConfig({ ...run.saes[0]?.train, d_in: 192 }, "run.jsonc");
  expect(train).toMatchObject({ architecture, d_sae: 512 });
  expect(runSummary(text, "run.jsonc").hook).toBe("decoder of parent");
});

test("a tiny run still has steps", () => {
  for (const tokens of [1, 100, 5000]) {
    const run = parseRunConfig(newRunFile({ ...answers, tokens }, settings), "run.jsonc", "/w");
    const train = parseTrainConfig({ ...run.saes[0]?.train, d_in: 192 }, "run.jsonc");
    expect(train.steps).toBe(Math.ceil(tokens / 64));
  }
});

test("a run file moves to a folder of its own without losing what it reads, or its comments", () => {
  const text = `{
  // relative to this file
  "data": { "kind": "files", "lm": "lm", "files": ["a.txt", "/b.txt"], },
  "saes": [{ "init": { "kind": "sae", "sae": "org/name" }, "train": { "architecture": "topk", "d_sae": 64 } },
    { "name": "x", "init": { "kind": "file", "file": "../init.safetensors" }, "train": { "architecture": "topk" } }]
}`;
  const moved = withAbsolutePaths(text, "/w/experiments");
  expect(moved).toContain("// relative to this file");
  expect(parseRunConfig(moved, "run.jsonc", "/elsewhere")).toEqual(
    parseRunConfig(text, "run.jsonc", "/w/experiments"),
  );
  expect(moved).toContain('"org/name"');
});
