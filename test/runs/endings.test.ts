// How runs end before their last step, what they say then, and that they can be continued; and resumes that are refused.
import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { repoRoot } from "../parts.ts";
import { type Ended, json, jsonLines, runCli, scratch, startCli } from "./run-cli.ts";
import { sameMachine, stepsOf, tinyTrain, writeBatches, writeRun } from "./tiny-run.ts";

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

// Every call starts a process, which takes seconds on a machine that does other things.
vi.setConfig({ testTimeout: 240_000 });

const batches = writeBatches("batches.safetensors");
const data = { kind: "batches", file: batches };
const endless = { ...tinyTrain, steps: 1_000_000 };

/** Starts a run that would not end, and acts once it has printed some steps. */
async function interrupted(
  folder: string,
  train: Readonly<Record<string, unknown>>,
  act: (kill: (signal: NodeJS.Signals) => void) => void,
): Promise<Ended> {
  const file = writeRun(`run-${Math.random()}`, { data, sae: { train } });
  let done = false;
  const call = ["train", file, "--output", folder, "--json", ...sameMachine];
  const { ended } = await startCli(call, (out, child) => {
    if (done || out.split("\n").length < 40) return;
    done = true;
    act((signal) => child.kill(signal));
  });
  return ended;
}

test.each(["SIGTERM", "SIGINT"] as const)("%s: a checkpoint, then the end", async (signal) => {
  const folder = join(scratch, signal);
  const { code, out } = await interrupted(folder, endless, (kill) => kill(signal));
  expect(code).toBe(130);
  const result = json(folder, "result.json");
  const steps = jsonLines(out).length;
  expect(result).toMatchObject({ state: "stopped", reason: { code: "signal" }, step: steps });
  const name = `step-${String(steps).padStart(8, "0")}.safetensors`;
  expect(readdirSync(join(folder, "checkpoints"))).toContain(name);
  expect(result["checkpoint"]).toBe(join("checkpoints", name));
  expect(existsSync(join(folder, "process.json"))).toBe(false);
  const more = await runCli("train", folder, "--resume", "--steps", String(steps + 5), "--json");
  expect(jsonLines(more.out).map((line) => line["step"])).toEqual(
    Array.from({ length: 5 }, (_, i) => steps + i),
  );
  expect(json(folder, "result.json")).toMatchObject({
    state: "finished",
    resumedFrom: steps,
    stepsRun: 5,
  });
  expect(existsSync(join(folder, "sae/cfg.json"))).toBe(true);
});

test("a file named stop ends a run, and is gone afterwards", async () => {
  const folder = join(scratch, "stop-file");
  const { code } = await interrupted(folder, endless, () =>
    writeFileSync(join(folder, "stop"), ""),
  );
  expect(code).toBe(0);
  expect(json(folder, "result.json")).toMatchObject({
    state: "stopped",
    reason: { code: "stop-file" },
  });
  expect(existsSync(join(folder, "stop"))).toBe(false);
});

test("a run goes on when nobody reads its output any more", async () => {
  const folder = join(scratch, "deaf");
  const file = writeRun("deaf", { data, sae: { train: { ...tinyTrain, steps: 3000 } } });
  const call = ["train", file, "--output", folder, "--json", ...sameMachine];
  const { child, ended } = await startCli(call, (_, { stdout }) => stdout?.destroy());
  await ended;
  expect(child.exitCode).toBe(0);
  expect(json(folder, "result.json")).toMatchObject({ state: "finished", step: 3000 });
});

test("a loss that is no number: the reason, and the last good checkpoint", async () => {
  const folder = join(scratch, "nan");
  const train = {
    ...tinyTrain,
    steps: 500,
    lr: 1e30,
    lrSchedule: { kind: "trapezoid", warmUpSteps: 400 },
  };
  const file = writeRun("nan", { data, sae: { train }, checkpoint: { everySteps: 1 } });
  const { code, err } = await runCli("train", file, "--output", folder, ...sameMachine);
  expect(code).toBe(1);
  expect(err).toMatch(/is (NaN|Infinity|-Infinity) at step \d+ \(learning rate .*lower lr/);
  const result = json(folder, "result.json");
  expect(result).toMatchObject({ state: "failed", reason: { code: "loss-not-finite" } });
  expect(result["checkpoint"]).toMatch(/^checkpoints.step-\d+\.safetensors$/);
  // What it kept can be trained on from, with numbers that are some.
  const again = await runCli("train", folder, "--resume", "--json");
  expect(again.err).toMatch(/loss-not-finite|at step/);
});

test("of several SAEs one that diverges is given up, the others go on", async () => {
  const folder = join(scratch, "one-diverges");
  const bad = { ...tinyTrain, steps: 60, lr: 1e30 };
  const file = writeRun("one-diverges", {
    data,
    saes: [
      { name: "good", train: { ...tinyTrain, steps: 60 } },
      { name: "bad", train: bad },
    ],
    checkpoint: { everySteps: 1 },
  });
  const { code } = await runCli("train", file, "--output", folder, ...sameMachine);
  expect(code).toBe(0);
  const { saes } = json(folder, "result.json") as { saes: { name: string }[] };
  expect(saes).toMatchObject([
    { name: "good", state: "finished", path: join("sae", "good"), steps: 60 },
    { name: "bad", state: "failed", reason: expect.stringMatching(/at step \d+/) },
  ]);
  expect(readdirSync(join(folder, "sae"))).toEqual(["good"]);
  const alone = writeRun("good-alone", { data, sae: { train: { ...tinyTrain, steps: 60 } } });
  await runCli("train", alone, "--output", join(scratch, "good-alone"), ...sameMachine);
  const one = readFileSync(join(scratch, "good-alone/parameters.safetensors"));
  expect(readFileSync(join(folder, "parameters/good.safetensors")).equals(one)).toBe(true);
});

test("a corpus that is missing is named in result.json", async () => {
  const folder = join(scratch, "missing");
  const text = join(scratch, "corpus.txt");
  const file = writeRun("missing", {
    data: { kind: "files", lm: join(repoRoot, "demo/lm"), files: [text], ctx: 32 },
    batch: 32,
    buffer: { rows: 96 },
    sae: { hook: "blocks.0.hook_resid_post", train: { ...tinyTrain, steps: 4 } },
  });
  const { code, err } = await runCli("train", file, "--output", folder, ...sameMachine);
  expect(code).toBe(1);
  expect(err).toContain(`the corpus ${text} is not there`);
  expect(json(folder, "result.json")).toMatchObject({
    state: "failed",
    reason: { code: "missing-corpus" },
  });
  writeFileSync(text, readFileSync(join(repoRoot, "demo/self-check.txt")));
  const again = await runCli("train", folder, "--resume", "--json");
  expect(again.err).toBe("");
  expect(json(folder, "result.json")).toMatchObject({ state: "finished", step: 4 });
});

test("batches that disappear while the run works: the reason, and a checkpoint to go on from", async () => {
  const folder = join(scratch, "cut");
  const own = writeBatches("cut.safetensors", 400);
  const whole = readFileSync(own);
  const file = writeRun("cut", { data: { kind: "batches", file: own }, sae: { train: endless } });
  let cut = false;
  const call = ["train", file, "--output", folder, "--json", ...sameMachine];
  const { ended } = await startCli(call, (out) => {
    if (cut || out.split("\n").length < 40) return;
    cut = true;
    truncateSync(own, 5000);
  });
  const { code, out } = await ended;
  expect(code).toBe(1);
  const result = json(folder, "result.json");
  expect(result).toMatchObject({ state: "failed", reason: { code: "file-changed" } });
  expect(result["step"]).toBe(jsonLines(out).length);
  writeFileSync(own, whole);
  const steps = String((result["step"] as number) + 3);
  const again = await runCli("train", folder, "--resume", "--steps", steps, "--json");
  expect(again.err).toBe("");
  expect(jsonLines(again.out).length).toBe(3);
});

async function refusal(...args: string[]): Promise<string> {
  return (await runCli("train", ...args)).err;
}

test("resumes that cannot be honoured are refused", async () => {
  const folder = join(scratch, "refused");
  const file = writeRun("refused", { data, sae: { train: { ...tinyTrain, steps: 30 } } });
  expect(await refusal(folder, "--resume")).toContain("does not exist");
  expect(await refusal(file, "--output", folder, "--resume")).toContain("has no run to resume");
  await runCli("train", file, "--output", folder, "--steps", "20", ...sameMachine);
  expect(await refusal(file, "--output", folder)).toContain("has a run already");
  expect(await refusal(folder)).toContain("has a run already");
  expect(await refusal(folder, "--resume", "--steps", "30", "--threads", "2")).toContain(
    "threads was 1, now it is 2",
  );
  const config = readFileSync(join(folder, "run.jsonc"), "utf8");
  const changed = (from: string, to: string) =>
    writeFileSync(join(folder, "run.jsonc"), config.replace(from, to));
  changed('"onnxruntime": "', '"onnxruntime": "0.');
  expect(await refusal(folder, "--resume", "--steps", "30")).toMatch(/onnxruntime was 0\./);
  changed('"lr": 0.001', '"lr": 0.002');
  expect(await refusal(folder, "--resume", "--steps", "30")).toContain(
    "run.jsonc has been changed",
  );
  writeFileSync(join(folder, "run.jsonc"), config);
  const all = readFileSync(batches);
  const one = Buffer.from(all);
  one[one.length - 1]! ^= 1;
  writeFileSync(batches, one);
  expect(await refusal(folder, "--resume", "--steps", "30")).toMatch(/batches was \w+…, now it is/);
  writeFileSync(batches, all);
  // None of the refusals has harmed the run.
  const flag = "--allow-differences";
  const { err } = await runCli(
    "train",
    folder,
    "--resume",
    "--steps",
    "30",
    "--threads",
    "2",
    flag,
  );
  expect(err).toBe("");
  expect(json(folder, "result.json")).toMatchObject({
    state: "finished",
    resumedFrom: 20,
    bitIdentical: false,
    differences: ["threads was 1, now it is 2"],
  });
});

test("a finished run that is resumed again stays as it is", async () => {
  const folder = join(scratch, "finished");
  const file = writeRun("finished", { data, sae: { train: { ...tinyTrain, steps: 12 } } });
  await runCli("train", file, "--output", folder, ...sameMachine);
  const before = readFileSync(join(folder, "events.jsonl"), "utf8");
  const { code, out } = await runCli("train", folder, "--resume", "--json");
  expect([code, out]).toEqual([0, ""]);
  expect(readFileSync(join(folder, "events.jsonl"), "utf8")).toBe(before);
});

test("two processes never work on one run", async () => {
  const folder = join(scratch, "twice");
  let second: Promise<Ended> | undefined;
  await interrupted(folder, endless, (kill) => {
    second = runCli("train", folder, "--resume").finally(() => kill("SIGTERM"));
  });
  expect((await second!).err).toMatch(/is being run by process \d+ on .*stop it first/);
});

test("a checkpoint that was damaged afterwards is passed over for the one before", async () => {
  const folder = join(scratch, "damaged");
  const train = { ...tinyTrain, steps: 40 };
  const file = writeRun("damaged", { data, sae: { train }, checkpoint: { everySteps: 10 } });
  await runCli("train", file, "--output", join(scratch, "undamaged"), ...sameMachine);
  await runCli("train", file, "--output", folder, "--steps", "35", ...sameMachine);
  const [older, newer] = readdirSync(join(folder, "checkpoints"));
  expect([older, newer]).toEqual(["step-00000030.safetensors", "step-00000035.safetensors"]);
  truncateSync(join(folder, "checkpoints", newer!), 1000);
  const { err } = await runCli("train", folder, "--resume", "--steps", "40");
  expect(err).toBe("");
  expect(json(folder, "result.json")).toMatchObject({ resumedFrom: 30, stepsRun: 10 });
  expect(stepsOf(folder)).toEqual(stepsOf(join(scratch, "undamaged")));
});
