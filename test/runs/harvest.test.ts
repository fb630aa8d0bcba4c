// Harvests: what is on disk is what the model computes; a harvest that was killed goes on; runs train on shards.
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { loadLm } from "../../server/lm/load.ts";
import { Stream } from "../../server/lm/stream.ts";
import { openDevice } from "../../server/runtime/device.ts";
import { ShardReader } from "../../server/store/shard-reader.ts";
import { TokenWindows } from "../../server/store/token-windows.ts";
import { repoRoot } from "../parts.ts";
import { json, runCli, scratch, startCli } from "./run-cli.ts";
import { sameMachine, tinyTrain, writeRun } from "./tiny-run.ts";

vi.setConfig({ testTimeout: 240_000 });
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const hook = "blocks.2.hook_resid_post";
const other = "blocks.0.hook_mlp_out";
const text = join(repoRoot, "demo/self-check.txt");

function call(folder: string, ...more: string[]): string[] {
  const lm = join(repoRoot, "demo/lm");
  const where = [
    "--lm",
    lm,
    "--files",
    text,
    text,
    "--output",
    folder,
    "--hooks",
    `${hook},${other}`,
  ];
  return ["harvest", ...where, "--ctx", "64", "--shard-mib", "1", ...sameMachine, ...more];
}

test("the size is said before, and nothing is written with --dry-run", async () => {
  const folder = join(scratch, "dry");
  const { out, err } = await runCli(...call(folder, "--dry-run", "--json"));
  expect(err).toBe("");
  const plan = JSON.parse(out) as { rows: number; bytes: number };
  expect(plan).toMatchObject({ hooks: { [hook]: 192, [other]: 192 }, dtype: "float16" });
  expect(plan.bytes).toBeGreaterThan(plan.rows * 384 * 2);
  expect(readdirSync(folder).some((name) => name.startsWith("shard"))).toBe(false);
});

test("shards hold the activations of every token, and a killed harvest ends with the same bytes", async () => {
  const folder = join(scratch, "whole");
  const { out } = await runCli(...call(folder, "--json"));
  const result = JSON.parse(out) as { rows: number; shards: number; resumedFrom: number };
  expect(result).toMatchObject({ resumedFrom: 0 });
  expect(result.shards).toBeGreaterThan(1);
  const reader = new ShardReader(folder);
  expect(reader.rows).toBe(result.rows);
  const positions = reader.readColumn("position", 0, reader.rows);
  expect(Math.min(...positions)).toBe(1);
  expect(Math.max(...positions)).toBe(63);
  await expectActivations(folder, reader);

  const killed = join(scratch, "killed");
  const { ended, child } = await startCli(call(killed));
  const watch = setInterval(() => {
    if (existsSync(join(killed, "shard-00000.safetensors"))) child.kill("SIGKILL");
  }, 2);
  await ended;
  clearInterval(watch);
  const again = await runCli(...call(killed, "--json"));
  expect(again.err).toBe("");
  const names = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));
  for (const name of names) {
    expect(readFileSync(join(killed, name)).equals(readFileSync(join(folder, name)))).toBe(true);
  }
  const other = await runCli(...call(killed, "--dtype", "float32"));
  expect(other.err).toContain("holds activations of another harvest (dtype");
});

test("an SAE is trained on shards, and says which", async () => {
  const folder = join(scratch, "float32");
  await runCli(...call(folder, "--dtype", "float32"));
  const reader = new ShardReader(folder);
  const train = { ...tinyTrain, steps: 5 };
  const run = { data: { kind: "shards", folder }, batch: 64, buffer: { rows: 600 } };
  const file = writeRun("shards", { ...run, sae: { hook, train } });
  const { err } = await runCli(
    "train",
    file,
    "--output",
    join(scratch, "shards-run"),
    ...sameMachine,
  );
  expect(err).toBe("");
  expect(json(scratch, "shards-run/run.jsonc")).toMatchObject({
    saes: [{ hook, train: { d_in: 192, metadata: { model_name: "demo/lm", hook_name: hook } } }],
    inputs: { shards: reader.key },
  });
  const unnamed = writeRun("unnamed", { ...run, sae: { train } });
  const refused = await runCli("train", unnamed, "--output", join(scratch, "unnamed-run"));
  expect(refused.err).toContain(`has activations of ${hook}, ${other}; say which with "hook"`);
});

test("a meta-SAE is trained on decoder rows and says whose", async () => {
  const folder = join(scratch, "meta");
  const sae = join(repoRoot, "demo/saes/resid2-1024");
  const train = { ...tinyTrain, steps: 6, d_sae: 32 };
  const file = writeRun("meta", {
    data: { kind: "decoder-rows", sae },
    batch: 128,
    sae: { train },
  });
  const { err } = await runCli("train", file, "--output", folder, ...sameMachine);
  expect(err).toBe("");
  expect(json(folder, "sae/cfg.json")).toMatchObject({
    d_in: 192,
    metadata: { meta_of: "resid2-1024", hook_name: hook },
  });
});

test("a finished SAE is read by inspect", async () => {
  const run = join(scratch, "inspected");
  const file = writeRun("inspected", {
    data: { kind: "files", lm: join(repoRoot, "demo/lm"), files: [text], ctx: 64 },
    batch: 64,
    buffer: { rows: 512 },
    sae: { hook, train: { ...tinyTrain, steps: 10 } },
  });
  expect((await runCli("train", file, "--output", run, ...sameMachine)).err).toBe("");
  const prompt = join(repoRoot, "demo/prompts/einstein.txt");
  const { out, err } = await runCli("inspect", prompt, "--sae", join(run, "sae"), "--json");
  expect(err).toBe("");
  expect(JSON.parse(out)).toMatchObject({ saes: [{ id: "inspected", hook }] });
});

/** The rows of the second window, as the model computes them. */
async function expectActivations(folder: string, reader: ShardReader): Promise<void> {
  const { device } = await openDevice({ device: "cpu", threads: 1, memoryBudget: 2 ** 31 });
  const lm = await loadLm(join(repoRoot, "demo/lm"), device);
  const windows = TokenWindows.read(join(folder, "tokens.safetensors"));
  const stream = new Stream(lm);
  stream.setIds(windows.window(1));
  const wanted = (await stream.read([lm.hook(hook)])).get(hook)!.data.subarray(192);
  // Every window leaves out position 0.
  const found = reader.read(hook, 63, 63 + wanted.length / 192);
  expect([...reader.readColumn("token", 63, 126)]).toEqual([...windows.window(1).subarray(1)]);
  const rms = Math.sqrt(wanted.reduce((sum, x) => sum + x * x, 0) / wanted.length);
  found.forEach((x, i) =>
    expect(Math.abs(x - wanted[i]!)).toBeLessThan(Math.abs(x) / 1024 + rms * 1e-4),
  );
  stream.dispose();
  await lm.release();
  await device.close();
}
