// Run files: what they may say, how sweeps are spread out, what is said about mistakes, and their JSON schema.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { parseRunConfig } from "../../server/engine/runs/run-config.ts";
import { format } from "prettier";
import { parseTrainConfig } from "../../server/training/config.ts";
import { repoRoot } from "../parts.ts";
import { runJsonSchema } from "./json-schema.ts";

const train = { architecture: "topk", k: 8, d_sae: 64, steps: 10, lr: 1e-3 };

function parse(run: unknown) {
  return parseRunConfig(JSON.stringify(run), "run.jsonc", "/runs/one");
}

test("defaults are filled in and paths are the file's", () => {
  const data = { kind: "files", lm: "../lm", files: ["texts", "/abs/a.txt"] };
  const run = parse({ data, sae: { train } });
  expect(run.data).toMatchObject({
    lm: "/runs/lm",
    files: ["/runs/one/texts", "/abs/a.txt"],
    ctx: 256,
    skipPositions: 1,
    specialTokens: "text",
  });
  expect(run).toMatchObject({
    batch: null,
    buffer: { rows: 65_536, seed: 0 },
    checkpoint: { keep: 2 },
  });
  expect(run.saes).toMatchObject([{ name: "topk", hook: null, train }]);
  expect(parse({ data: { ...data, lm: "org/name" }, sae: { train } }).data).toMatchObject({
    lm: "org/name",
  });
});

test("the example in bench/runs is a run of four SAEs", () => {
  const file = join(repoRoot, "bench/runs/smollm2-layer9.run.jsonc");
  const run = parseRunConfig(readFileSync(file, "utf8"), file, dirname(file));
  expect(run.data).toMatchObject({ lm: join(repoRoot, "../shared/models/smollm2") });
  for (const { name, train: options } of run.saes) {
    const config = parseTrainConfig({ d_in: 576, ...options }, name);
    expect(config).toMatchObject({ architecture: name, d_sae: 9216, steps: 291 });
  }
  expect(run.saes.map(({ name }) => name)).toEqual([
    "batchtopk",
    "matryoshka",
    "jumprelu",
    "gated",
  ]);
});

test("comments and trailing commas are allowed", () => {
  const text = `{ // one\n "sae": {"train": ${JSON.stringify(train)},}, }`;
  expect(parseRunConfig(text, "run.jsonc", "/").saes.length).toBe(1);
});

test("a grid is every combination, a list is its entries", () => {
  const grid = parse({ sae: { train }, sweep: { k: [8, 16], "dead.after": [5, 50, 500] } });
  expect(grid.saes.map(({ name }) => name)).toEqual([
    "topk-k8-after5",
    "topk-k8-after50",
    "topk-k8-after500",
    "topk-k16-after5",
    "topk-k16-after50",
    "topk-k16-after500",
  ]);
  expect(grid.saes[4]).toMatchObject({
    train: { k: 16, dead: { after: 50 }, lr: 1e-3 },
    swept: { k: 16, "dead.after": 50 },
  });
  const saes = [
    { name: "a", train },
    { name: "b", train: { ...train, d_sae: 128 } },
  ];
  const list = parse({ saes, sweep: [{ k: 8 }, { lr: 0.01, seed: 3 }] });
  expect(list.saes.map(({ name }) => name)).toEqual([
    "a-k8",
    "a-lr0.01-seed3",
    "b-k8",
    "b-lr0.01-seed3",
  ]);
});

test.each([
  [{ sae: { train }, batchSize: 3 }, `run.jsonc: "batchSize" is 3; expected no such key`],
  [{ sae: { train }, batch: 0.5 }, `run.jsonc: "batch" is 0.5; expected a whole number above 0`],
  [
    { data: { kind: "web" }, sae: { train } },
    `"data.kind" is "web"; expected ("files" or "shards" or "batches" or "decoder-rows")`,
  ],
  [
    { data: { kind: "files", lm: "lm", files: [] }, sae: { train } },
    `"data.files" is []; expected a list with at least one entry`,
  ],
  [{ data: { kind: "shards" }, sae: { train } }, `"data.folder" is missing`],
  [{ saes: [] }, `"saes" is []; expected a list with at least one entry`],
  [{}, `give either "sae", an object, or "saes"`],
  [{ sae: { train }, saes: [{ train }] }, `give either "sae", an object, or "saes"`],
  [{ sae: { name: "a/b", train } }, `"sae.name" is "a/b"; expected letters, digits`],
  [{ saes: [{ train }, { train }] }, `two SAEs are called topk; give each a "name" of its own`],
])("%j is refused: %s", (run, text) => {
  expect(() => parse(run)).toThrow(text);
});

test("the examples of docs/training.md are run files", () => {
  const text = readFileSync(join(repoRoot, "docs/training.md"), "utf8");
  const examples = [...text.matchAll(/```jsonc\n([\s\S]*?)```/g)].map(([, it]) => it!);
  expect(examples.length).toBe(3);
  const [run = "", adversary = "", tuned = ""] = examples;
  const { saes } = parseRunConfig(run, "docs", "/");
  const sizes = { ...saes[0]?.train, d_in: 576 };
  expect(parseTrainConfig(sizes, "docs")).toMatchObject({ architecture: "batchtopk" });
  const joint = parseRunConfig(`{"sae": {"train": {${adversary}}}}`, "docs", "/").saes[0]?.train;
  expect(parseTrainConfig({ ...sizes, ...joint }, "docs")).toMatchObject({
    adversary: { startStep: 1000, train: { d_in: 576, steps: 4000 } },
  });
  const whole = `{"sae": {${tuned.replace("… }", "}")}}}`;
  const [{ task, train: own } = {}] = parseRunConfig(whole, "docs", "/").saes;
  expect(task).toBe("/prompts.jsonl");
  expect(parseTrainConfig({ ...sizes, ...own }, "docs")).toMatchObject({
    attribution: { promptsPerStep: 8 },
  });
});

test("what is no JSON is refused with the line", () => {
  expect(() => parseRunConfig(`{\n "sae": {\n`, "run.jsonc", "/")).toThrow(
    /run.jsonc is not JSON with comments: CloseBraceExpected in line 3/,
  );
});

test("schemas/run.schema.json is that of the code (vitest -u writes it)", async () => {
  const schema = await format(runJsonSchema(), { parser: "json", printWidth: 100 });
  await expect(schema).toMatchFileSnapshot(join(repoRoot, "schemas/run.schema.json"));
});
