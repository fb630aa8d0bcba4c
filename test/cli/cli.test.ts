import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, truncateSync, writeFileSync, cpSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readSafetensors, writeSafetensors } from "../../server/encoding/safetensors.ts";
import type { Inspection } from "../../server/engine/verbs/inspect.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { repoRoot } from "../parts.ts";

const demo = join(repoRoot, "demo");
const scratch = mkdtempSync(join(tmpdir(), "latent-workbench-cli-"));

function run(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(repoRoot, "dist/cli.js"), ...args],
    {
      encoding: "utf8",
      env: { ...process.env, XDG_CACHE_HOME: scratch },
    },
  );
  return { code: status, out: stdout, err: stderr };
}

test("inspect --json: tokens with ranges in the file, latents with labels", () => {
  const file = join(demo, "prompts/einstein.txt");
  const { code, out } = run("inspect", file, "--json", "--top", "3");
  expect(code).toBe(0);
  const found = JSON.parse(out) as Inspection;
  const text = readFileSync(file, "utf8");
  expect(found.schemaVersion).toBe(1);
  expect(found.saes.map((it) => it.id)).toContain("resid2-6144");
  const own = found.tokens.filter((it) => !it.inserted);
  expect(own.map((it) => text.slice(it.startOffset, it.endOffset)).join("")).toBe(text);
  for (const token of own) {
    const lines = text.slice(0, token.startOffset).split("\n");
    expect(token.start).toEqual({ line: lines.length - 1, character: lines.at(-1)?.length });
    const reading = token.saes["resid2-6144"];
    expect(reading?.top.length).toBe(Math.min(3, reading?.l0 ?? 0));
  }
  expect(found.tokens[0]).toMatchObject({
    special: true,
    inserted: true,
    startOffset: 0,
    endOffset: 0,
  });
  expect(found.tokens.some((it) => it.saes["resid2-6144"]?.top.some((top) => top.label))).toBe(
    true,
  );
});

test("inspect reads chat files through JSON escapes, in the file's own offsets", () => {
  const file = join(demo, "prompts/chat.jsonl");
  const { code, err } = run("inspect", file, "--json");
  // The demo model has no chat template: the refusal says so.
  if (code !== 0)
    expect(JSON.parse(err)).toMatchObject({ error: { text: expect.stringMatching(/template/) } });
});

test("activations and encode write what other tools can compare", () => {
  const acts = join(scratch, "acts.safetensors");
  const hook = "blocks.2.hook_resid_post";
  const made = run(
    "activations",
    "--lm",
    join(demo, "lm"),
    "--ids",
    "0,3222,4207",
    "--hooks",
    `${hook},blocks.1.attn.hook_z`,
    "--output",
    acts,
  );
  expect(made).toMatchObject({ code: 0 });
  const tensors = readSafetensors(readFileSync(acts));
  expect(tensors.get(hook)?.dims).toEqual([3, 192]);
  expect(tensors.get("blocks.1.attn.hook_z")?.dims).toEqual([3, 192]);
  expect(tensors.get("logits")?.dims).toEqual([3, 8192]);
  const input = join(scratch, "x.safetensors");
  const x = tensors.get(hook);
  if (!x) throw new Error("no residuals");
  writeFileSync(
    input,
    writeSafetensors(new Map([["x", tensor("float32", [3, 192], x.data as Float32Array)]])),
  );
  const output = join(scratch, "encoded.safetensors");
  const sae = join(demo, "saes/resid2-6144");
  expect(run("encode", "--sae", sae, "--input", input, "--output", output).code).toBe(0);
  const encoded = readSafetensors(readFileSync(output));
  expect(encoded.get("acts")?.dims).toEqual([3, 6144]);
  expect(encoded.get("x_hat")?.dims).toEqual([3, 192]);
  expect(run("encode", "--sae", sae, "--input", input, "--output", output, "--sparse").code).toBe(
    0,
  );
  const sparse = readSafetensors(readFileSync(output));
  const dense = encoded.get("acts")?.data as Float32Array;
  const offsets = sparse.get("offsets")?.data as Int32Array;
  expect(dense.filter((it) => it !== 0).length).toBe(offsets[3]);
});

test("generate goes on greedily", () => {
  const { code, out } = run(
    "generate",
    "--lm",
    join(demo, "lm"),
    "--text",
    "The President of the United States",
    "--max-new-tokens",
    "4",
    "--json",
  );
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ text: " has been in effect" });
});

test("doctor names every device with its reason", () => {
  const { code, out } = run("doctor", "--json");
  expect(code).toBe(0);
  const { devices } = JSON.parse(out) as {
    devices: { device: string; chosen: boolean; refusal?: string }[];
  };
  expect(devices.map((it) => it.device)).toContain("cpu");
  for (const it of devices) expect(it.chosen || it.refusal !== undefined).toBe(true);
});

test.each([
  ["a file that is not there", ["inspect", "/no/such.txt"], /no such\.txt|no file|not/i],
  ["an unknown verb", ["inspekt"], /unknown command/],
  [
    "an unknown hook",
    [
      "activations",
      "--lm",
      join(demo, "lm"),
      "--ids",
      "1",
      "--hooks",
      "blocks.9.hook_resid_post",
      "--output",
      "x",
    ],
    /no layer 9 in .*: it has layers 0 to 3/,
  ],
  [
    "an id out of range",
    [
      "activations",
      "--lm",
      join(demo, "lm"),
      "--ids",
      "9999",
      "--hooks",
      "logits",
      "--output",
      "x",
    ],
    /ids go from 0 to 8191/,
  ],
  ["no SAE", ["encode", "--sae", demo, "--input", "x", "--output", "y"], /./],
])("%s: one sentence on stderr, exit 1; with --json an object", (_, args, text) => {
  const plain = run(...args);
  expect(plain.code).toBe(1);
  expect(plain.err.trim().split("\n")).toHaveLength(1);
  expect(plain.err).toMatch(text);
  const json = run(...args, "--json");
  expect(json.code).toBe(1);
  expect(JSON.parse(json.err)).toMatchObject({
    error: { code: expect.any(String), text: expect.any(String) },
  });
});

test("truncated weights and an SAE of another model are refused with what was found", () => {
  const broken = join(scratch, "broken");
  cpSync(join(demo, "lm"), broken, { recursive: true });
  truncateSync(join(broken, "model.safetensors"), 100_000);
  const file = join(demo, "prompts/einstein.txt");
  const sae = join(demo, "saes/resid2-1024");
  const cut = run("inspect", file, "--lm", broken, "--sae", sae);
  expect(cut).toMatchObject({ code: 1 });
  expect(cut.err).toMatch(/model\.safetensors/);
  const tiny = join(repoRoot, "test/golden/sae-formats/sae-lens/jumprelu/plain");
  const other = run("inspect", file, "--sae", tiny);
  expect(other).toMatchObject({ code: 1 });
  expect(other.err).toMatch(/width|layer|hook/);
});

test("index builds an index of an SAE over a corpus, and finds it there the next time", () => {
  const folder = join(scratch, "index");
  const sae = join(demo, "saes/resid2-1024");
  const small = ["--ctx", "32", "--max-tokens", "128", "--output", folder, "--json"];
  const call = ["index", "--sae", sae, "--files", join(demo, "self-check.txt"), ...small];
  const { code, out } = run(...call);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ sae: "resid2-1024", latents: 1024, wasFinished: false });
  expect(JSON.parse(run("index", folder, "--json").out)).toMatchObject({ wasFinished: true });
  const { code: refused, err } = run("index", "--sae", sae);
  expect([refused, err]).toEqual([1, "give the folder of an index, or --sae and --files\n"]);
});
