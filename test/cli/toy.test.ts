import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ToyProgress, ToyResult } from "../../server/protocol/toy.ts";
import { runToyProcess } from "../../server/workbench/toy-process.ts";
import { repoRoot } from "../parts.ts";

const program = join(repoRoot, "dist/cli.js");
const scratch = mkdtempSync(join(tmpdir(), "latent-workbench-toy-"));
const small = ["--features", "4", "--parents", "1", "--children", "1", "--steps", "30"];

function run(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, "toy", ...args], {
    encoding: "utf8",
  });
  return { code: status, out: stdout, err: stderr };
}

test("--json prints one object, and its config gives the same figures again", () => {
  const { code, out } = run("--json", ...small, "--architecture", "gated", "--l1", "0.05");
  expect(code).toBe(0);
  const { seconds, ...found } = JSON.parse(out) as ToyResult;
  expect(seconds).toBeLessThan(30);
  expect(found.config).toMatchObject({ sae: { architecture: "gated", l1: 0.05, steps: 30 } });
  expect(found.features.map(({ name }) => name)).toEqual([
    "parent 1",
    "child 1.1",
    "pair 1a",
    "pair 1b",
  ]);
  const file = join(scratch, "toy.jsonc");
  writeFileSync(file, `// made by a run\n${JSON.stringify(found.config)}`);
  const { seconds: _, ...again } = JSON.parse(run(file, "--json").out) as ToyResult;
  expect(again).toEqual(found);
});

test("without --json a table, with an unknown key one sentence", () => {
  const { code, out } = run(...small);
  expect(code).toBe(0);
  expect(out).toMatch(/^parent 1 with child 1\.1: absorbed /m);
  const file = join(scratch, "bad.jsonc");
  writeFileSync(file, '{ "sae": { "widht": 3 } }');
  const bad = run(file, "--json");
  expect(bad.code).toBe(1);
  expect(JSON.parse(bad.err)).toMatchObject({
    error: {
      code: "unknown-toy-option",
      text: `${file}: there is no option "sae.widht": remove it or correct its name`,
    },
  });
});

test("the server runs it as a child: knobs go in, progress and the result come out", async () => {
  const heard: ToyProgress[] = [];
  const result = await runToyProcess(
    program,
    { features: 4, parents: 1, children: 1, coOccurrence: 0.5, tied: true, steps: 2000 },
    { signal: new AbortController().signal, onProgress: (it) => heard.push(it) },
  );
  expect(result.config).toMatchObject({ features: { coOccurrence: 0.5 }, sae: { tied: true } });
  expect(heard.length).toBeGreaterThan(0);
  expect(heard.every(({ step, steps }) => step <= steps && steps === 2000)).toBe(true);
});

test("cancelling ends the child; its refusals come back as they are", async () => {
  const controller = new AbortController();
  const onProgress = (): void => controller.abort();
  const run = runToyProcess(program, { steps: 1e6 }, { signal: controller.signal, onProgress });
  await expect(run).rejects.toMatchObject({ name: "AbortError" });
  const { signal } = new AbortController();
  await expect(
    runToyProcess(program, { k: 30, architecture: "topk", latents: 0 }, { signal, onProgress }),
  ).rejects.toThrow("option '--latents <n>' argument '0' is invalid");
});
