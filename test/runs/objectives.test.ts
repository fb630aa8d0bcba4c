// What an SAE can be trained for beside its own squared error, from run files and through kills.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { loadSae } from "../../server/sae/load.ts";
import { openEngine } from "../engine/engine.ts";
import { repoRoot } from "../parts.ts";
import { json, jsonLines, runCli, scratch, startCli } from "./run-cli.ts";
import { sameMachine, stepsOf, writeBatches, writeRun } from "./tiny-run.ts";

afterAll(() => rmSync(scratch, { recursive: true, force: true }));
vi.setConfig({ testTimeout: 240_000 });

const parent = join(repoRoot, "demo/saes/resid2-1024");
const l1 = { kind: "l1", coefficient: 0.02 } as const;
const schedule = { d_sae: 64, steps: 30, lr: 0.01 } as const;

/** A meta-SAE of every architecture. */
const metas = {
  standard: { sparsity: l1 },
  topk: { k: 4 },
  batchtopk: { k: 4 },
  matryoshka: { k: 4, widths: [16, 32, 64] },
  jumprelu: { sparsity: { kind: "target_ratio", coefficient: 0.1, targetL0: 4 } },
  gated: { sparsity: l1 },
  abstopk: { k: 4 },
} as const;

test("meta-SAEs of every architecture know their parent, and are compared with shuffled rows", async () => {
  const saes = Object.entries(metas).map(([architecture, options]) => ({
    name: architecture,
    train: { architecture, ...schedule, ...options },
  }));
  const control = {
    name: "control",
    hook: "W_dec.shuffled",
    train: { architecture: "topk", k: 4, ...schedule },
  };
  const data = { kind: "decoder-rows", sae: parent };
  const file = writeRun("metas", { data, batch: 256, saes: [...saes, control] });
  const folder = join(scratch, "metas-run");
  const { err } = await runCli("train", file, "--output", folder, ...sameMachine);
  expect(err).toBe("");
  const result = json(folder, "result.json") as unknown as {
    saes: { name: string; path: string; quality: Record<string, number> }[];
  };
  for (const { name, path, quality } of result.saes) {
    const description = await loadSae(join(folder, path));
    expect(description.config.metaOf, name).toBe("resid2-1024");
    expect(description.config.d_in).toBe(192);
    description.close();
    expect(quality["l0"], name).toBeGreaterThan(0);
    // Rows share directions; shuffled ones do not. The control has learnt the latter.
    if (name === "control") continue;
    expect(quality["fvu"], name).toBeLessThan(0.97);
    expect(quality["fvu"], name).toBeLessThan(quality["fvuShuffledColumns"]! - 0.02);
  }
  // Beside its parent, a meta-SAE explains the parent's latents in the editor.
  const engine = await openEngine();
  try {
    await engine.loadSae({ path: parent, id: "narrow" });
    const meta = await engine.loadSae({ path: join(folder, "sae/topk") });
    expect(meta.metaOf).toBe("narrow");
    const found = await engine.metaLatents({ meta: meta.id, latents: [3, 70], k: 3 });
    expect(found.map(({ parts }) => parts.length)).toEqual([3, 3]);
  } finally {
    await engine.close();
  }
});

// One run with everything: behind the SAE (with a transcoder, too), against a meta-SAE, fine-tuned with a task's attributions.
const task = [
  { text: "The government of the United States is", correct: " a", wrong: " the" },
  { text: "Water is made of", correct: " the", wrong: 300, position: -2 },
];
const saes = [
  {
    name: "e2e",
    hook: "blocks.2.hook_resid_post",
    train: { architecture: "standard", sparsity: l1, endToEnd: {} },
  },
  {
    name: "e2e-ds",
    hook: "blocks.2.hook_resid_post",
    train: {
      architecture: "batchtopk",
      k: 8,
      endToEnd: { downstream: 0.01 },
      normalizeActivations: { kind: "scale", batches: 2 },
    },
  },
  {
    name: "transcoder",
    hook: "blocks.1.mlp.hook_in",
    hookOut: "blocks.1.hook_mlp_out",
    train: {
      architecture: "batchtopk",
      k: 8,
      skip: true,
      applyBDecToInput: false,
      init: { encoder: "own" },
      endToEnd: { mse: 1 },
    },
  },
  {
    name: "joint",
    hook: "blocks.2.hook_resid_post",
    train: {
      architecture: "topk",
      k: 8,
      tied: true,
      adversary: { coefficient: 5, train: { architecture: "topk", k: 4, d_sae: 8, lr: 0.01 } },
    },
  },
  {
    name: "task",
    hook: "blocks.2.hook_resid_post",
    task: "task.jsonl",
    init: { kind: "sae", sae: parent },
    train: {
      architecture: "jumprelu",
      d_sae: 1024,
      sparsity: { kind: "step", coefficient: 0.01 },
      attribution: { coefficient: 1, promptsPerStep: 1 },
    },
  },
].map((sae) => ({ ...sae, train: { d_sae: 64, steps: 4, lr: 1e-3, ...sae.train } }));
const texts = {
  kind: "files",
  lm: join(repoRoot, "demo/lm"),
  files: [join(repoRoot, "demo/self-check.txt")],
  ctx: 32,
} as const;

test("every loss in one run, killed and resumed: the same to the last bit", async () => {
  writeFileSync(join(scratch, "task.jsonl"), task.map((it) => JSON.stringify(it)).join("\n"));
  const file = writeRun("losses", { data: texts, batch: 64, saes, checkpoint: { everySteps: 2 } });
  const reference = join(scratch, "losses-reference");
  const whole = await runCli("train", file, "--output", reference, "--json", ...sameMachine);
  expect(whole.err).toBe("");
  const steps = jsonLines(whole.out) as { sae: string; parts: Record<string, number> }[];
  const partsOf = (name: string) =>
    Object.keys(steps.find(({ sae }) => sae === name)!.parts).toSorted();
  expect(partsOf("e2e")).toEqual(["kl_loss", "l1_loss", "mse_loss"]);
  expect(partsOf("e2e-ds")).toContain("downstream_loss");
  expect(partsOf("transcoder")).toContain("kl_loss");
  expect(partsOf("joint")).toContain("adversary_loss");
  expect(partsOf("task")).toContain("attribution_loss");
  const result = json(reference, "result.json") as { saes?: { name: string; metaPath?: string }[] };
  const joint = result.saes?.find(({ name }) => name === "joint");
  const meta = await loadSae(join(reference, joint!.metaPath!));
  expect(meta.config).toMatchObject({ metaOf: "joint", d_sae: 8 });
  meta.close();

  const folder = join(scratch, "losses-killed");
  const { ended } = await startCli(
    ["train", file, "--output", folder, "--json", ...sameMachine],
    (out, child) => {
      // Within the third step, after the checkpoint of the second.
      if (out.split("\n").length > 12) child.kill("SIGKILL");
    },
  );
  expect((await ended).signal).toBe("SIGKILL");
  const resumed = await runCli("train", folder, "--resume", "--json");
  expect(resumed.err).toBe("");
  expect(jsonLines(resumed.out).length).toBeLessThan(20);
  for (const { name } of saes) {
    for (const path of [`parameters/${name}.safetensors`, `sae/${name}/sae_weights.safetensors`])
      expect(
        readFileSync(join(folder, path)).equals(readFileSync(join(reference, path))),
        path,
      ).toBe(true);
  }
  const path = "meta-sae/joint/sae_weights.safetensors";
  expect(readFileSync(join(folder, path)).equals(readFileSync(join(reference, path)))).toBe(true);
  expect(stepsOf(folder)).toEqual(stepsOf(reference));
});

const plain = { architecture: "topk", k: 4, d_sae: 16, steps: 2, lr: 0.01 } as const;
const penalty = { coefficient: 1 } as const;
test.each([
  [
    { kind: "batches", file: writeBatches("objectives.safetensors") },
    { train: { ...plain, endToEnd: {} } },
    /topk: "endToEnd" needs the language model at every step, but data of kind "batches" have none/,
  ],
  [
    texts,
    { train: { ...plain, attribution: penalty } },
    /"train.attribution" and "task", .* belong/,
  ],
  [
    texts,
    { hook: "blocks.0.hook_attn_out", train: { ...plain, endToEnd: {} } },
    /"endToEnd" needs an SAE whose output can stand in the residual stream/,
  ],
  [
    texts,
    { task: "bad.jsonl", train: { ...plain, attribution: penalty } },
    /line 1 of .*bad.jsonl: "correct" is " antidisestablishmentarianism", which is \d+ tokens/,
  ],
])("refused: %j with %j", async (data, sae, text) => {
  const bad = { text: "a b c", correct: " antidisestablishmentarianism", wrong: " a" };
  writeFileSync(join(scratch, "bad.jsonl"), JSON.stringify(bad));
  const file = writeRun("refused", { data, sae });
  const folder = join(scratch, "refused-run");
  if (existsSync(folder)) rmSync(folder, { recursive: true });
  const { code, err } = await runCli("train", file, "--output", folder, ...sameMachine);
  expect(err).toMatch(text);
  expect(code).not.toBe(0);
});
