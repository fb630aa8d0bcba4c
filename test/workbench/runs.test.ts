/** Runs as processes and folders, with a program that only pretends to train. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { RunInfo } from "../../server/protocol/runs.ts";
import { lifeOf } from "../../server/workbench/runs-process.ts";
import { Runs } from "../../server/workbench/runs.ts";
import { runSummary } from "../../server/workbench/runs-config.ts";

/**
 * A step every 10 ms; `stop` or SIGTERM write a checkpoint and end; crashes on request. It does not finish before a
 * file `finish` says so: a test that is held up must not find it over.
 */
const program = `
import { appendFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname, setPriority } from "node:os";
import { join } from "node:path";
const [verb, folder, ...flags] = process.argv.slice(2);
if (verb !== "train") throw new Error("not a run");
const at = (name) => join(folder, name);
const run = JSON.parse(readFileSync(at("run.jsonc"), "utf8"));
setPriority(10);
const write = (name, value) => {
  writeFileSync(at("x.tmp"), JSON.stringify(value));
  renameSync(at("x.tmp"), at(name));
};
if (flags.includes("--resume") !== (run.environment !== undefined)) throw new Error("no resume");
let step = existsSync(at("checkpoints")) ? Number(readdirSync(at("checkpoints"))[0]) : 0;
write("run.jsonc", { ...run, environment: {} });
let stop = false;
process.on("SIGTERM", () => { if (!run.deaf) stop = true; });
rmSync(at("result.json"), { force: true });
const end = (result) => {
  write("result.json", result);
  rmSync(at("process.json"), { force: true });
  process.exit(0);
};
setInterval(() => {
  if (run.crash) { console.error("the corpus is gone"); process.exit(1); }
  appendFileSync(at("events.jsonl"), JSON.stringify({ event: "step", sae: "topk", step, lr: 1, loss: 100 - step, l0: 4, dead: 0 }) + "\\n");
  step++;
  write("process.json", { pid: process.pid, host: hostname(), beatAt: new Date().toISOString(), phase: "training", step, etaSeconds: 9 });
  if (step >= run.steps && existsSync(at("finish"))) {
    mkdirSync(at("sae"), { recursive: true });
    writeFileSync(at("sae/cfg.json"), "{}");
    end({ state: "finished" });
  }
  if (stop || (!run.deaf && existsSync(at("stop")))) {
    rmSync(at("checkpoints"), { recursive: true, force: true });
    mkdirSync(at("checkpoints/" + step), { recursive: true });
    end({ state: "stopped" });
  }
}, 10);
`;

let folder: string;
let runs: Runs;
const started: string[] = [];
const base = { sae: { train: { architecture: "topk", d_sae: 64 } } };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "runs-"));
  writeFileSync(join(folder, "program.mjs"), program);
  runs = newRuns();
});
afterEach(async () => {
  for (const run of started.splice(0)) {
    const life = existsSync(run) ? lifeOf(run) : { state: "none" as const };
    if (life.state !== "alive") continue;
    process.kill(life.pid, "SIGKILL");
    await eventually(() => lifeOf(run).state === "none");
  }
  runs.dispose();
  rmSync(folder, { recursive: true });
});

function newRuns(): Runs {
  return new Runs({
    program: join(folder, "program.mjs"),
    workspaceFolders: [folder],
    runsFolder: () => "runs",
  });
}

function newRun(name: string, more: Record<string, unknown>): string {
  const run = join(folder, "runs", name);
  mkdirSync(run, { recursive: true });
  writeFileSync(join(run, "run.jsonc"), JSON.stringify({ ...base, ...more }));
  started.push(run);
  return run;
}

async function until(run: string, accept: (info: RunInfo) => boolean): Promise<RunInfo> {
  let last: RunInfo | undefined;
  await eventually(
    async () => accept((last = await runs.info(run))),
    () => JSON.stringify(last),
  );
  return last as RunInfo;
}

async function eventually(
  check: () => boolean | Promise<boolean>,
  last: () => string | undefined = () => "",
): Promise<void> {
  const end = Date.now() + 120_000;
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`not within two minutes; last: ${last()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("a run is found, started with lower priority, and finishes with its SAE", async () => {
  const run = newRun("a", { steps: 20 });
  expect(await runs.list()).toMatchObject([
    { name: "a", state: "new", text: "not started yet", resumable: false, step: 0, steps: 20 },
  ]);
  await runs.start(run);
  const life = lifeOf(run);
  if (life.state !== "alive") throw new Error(life.state);
  await until(run, ({ step }) => step > 0);
  expect(getPriority(life.pid)).toBeGreaterThan(0);
  await expect(runs.start(run)).rejects.toThrow(/^a is running already, as process \d+; stop it/);
  expect(() => runs.remove(run)).toThrow(/^a is still running/);
  await until(run, ({ step }) => step >= 20);
  writeFileSync(join(run, "finish"), "");
  const info = await until(run, ({ state }) => state === "finished");
  expect(info).toMatchObject({ state: "finished", resumable: false });
  expect(info.text).toMatch(/^\d+ steps$/);
  expect(info.saes).toMatchObject([{ id: "topk", path: join(run, "sae") }]);
  expect(info.saes[0]?.last?.loss).toBeLessThanOrEqual(100 - 19);
  await expect(runs.start(run)).rejects.toThrow(/^a is finished/);
  runs.remove(run);
  expect(existsSync(run)).toBe(false);
});

test("a run that is stopped goes on from its checkpoint", async () => {
  const run = newRun("b", { steps: 100_000 });
  await runs.start(run);
  await until(run, ({ step }) => step >= 3);
  runs.stop(run);
  expect(["stopping", "stopped"]).toContain((await runs.info(run)).state);
  const { step } = await until(run, (it) => it.state === "stopped");
  expect(await runs.info(run)).toMatchObject({ resumable: true });
  await runs.start(run);
  expect((await runs.info(run)).state).toBe("running");
  await until(run, (it) => it.state === "running" && it.step > step + 2);
});

test("a run outlives the server that started it, and is seen by the next", async () => {
  const run = newRun("c", { steps: 100_000 });
  await runs.start(run);
  const before = await until(run, ({ step }) => step >= 2);
  runs.dispose();
  runs = newRuns();
  const after = await until(run, ({ step }) => step > before.step + 3);
  expect(after.state).toBe("running");
});

test("a run that crashes says why, in its own last words", async () => {
  const run = newRun("d", { steps: 10, crash: true });
  await runs.start(run);
  const info = await until(run, ({ state }) => state === "failed");
  expect(info).toMatchObject({ text: "the corpus is gone", resumable: false });
});

test("a run that does not listen can be killed", async () => {
  const run = newRun("e", { steps: 100_000, deaf: true });
  await runs.start(run);
  await until(run, ({ step }) => step >= 1);
  runs.stop(run);
  expect((await runs.info(run)).state).toBe("stopping");
  runs.stop(run, true);
  const info = await until(run, ({ state }) => state === "failed");
  expect(info.text).toMatch(/ended without a word/);
});

test("nothing but runs of the workspace is touched", async () => {
  newRun("f", { steps: 1 });
  writeFileSync(join(folder, "run.jsonc"), "{}");
  for (const path of [folder, join(folder, "runs/.."), join(folder, "runs/f/.."), "/", ""]) {
    expect(() => runs.remove(path), path).toThrow(/is not a run of this workspace/);
    expect(() => runs.stop(path), path).toThrow(/is not a run of this workspace/);
    await expect(runs.start(path), path).rejects.toThrow(/is not a run of this workspace/);
  }
  expect(readFileSync(join(folder, "run.jsonc"), "utf8")).toBe("{}");
});

test("names of new runs are plain and free", () => {
  expect(runs.freeFolder("../../x y")).toBe(join(folder, "runs/x-y"));
  newRun("x-y", {});
  expect(runs.freeFolder("x/y")).toBe(join(folder, "runs/x-y-2"));
  expect(runs.freeFolder("…")).toBe(join(folder, "runs/run"));
});

test("a run file that is none is a failed run that says where", async () => {
  const run = newRun("g", {});
  writeFileSync(join(run, "run.jsonc"), '{\n "sae": {,} }');
  expect(await runs.info(run)).toMatchObject({ state: "failed", saes: [] });
  expect((await runs.info(run)).text).toMatch(/run\.jsonc: line 2: ValueExpected$/);
  expect(() => runSummary("{}", "x.jsonc")).toThrow('x.jsonc: it is no run file: expected "sae"');
});

test("a sweep that was spread out has a line for each SAE", () => {
  const text = `{ // made by a start
    "data": { "kind": "files", "lm": "/lm", "files": ["a.txt"] }, "batch": 512,
    "saes": [
      { "name": "topk-k8", "hook": "blocks.2.hook_resid_post", "train": { "architecture": "topk", "d_sae": 64, "steps": 10 }, "swept": { "k": 8 } },
      { "name": "topk-k16", "hook": "blocks.2.hook_resid_post", "train": { "architecture": "topk", "d_sae": 64, "steps": 20 }, "swept": { "k": 16 } },
    ] }`;
  expect(runSummary(text, "run.jsonc")).toEqual({
    kind: "train",
    lm: "/lm",
    hook: "blocks.2.hook_resid_post",
    steps: 20,
    isStarted: false,
    saes: [
      { id: "topk-k8", architecture: "topk", d_sae: 64, options: { k: 8 } },
      { id: "topk-k16", architecture: "topk", d_sae: 64, options: { k: 16 } },
    ],
  });
});
