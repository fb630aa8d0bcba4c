/** Edits, deeper reads, cancelled reads: always what a fresh stream gives, and no more work than is missing. */
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { type HookPoint, printHookPoint } from "../../server/lm/hook-points.ts";
import type { LanguageModel } from "../../server/lm/language-model.ts";
import { loadLm } from "../../server/lm/load.ts";
import { Stream } from "../../server/lm/stream.ts";
import { repoRoot } from "../parts.ts";
import { seeded } from "../random.ts";
import { expectRows, testDevice } from "./closeness.ts";

const device = testDevice();
const models = new Map<string, LanguageModel>();

async function open(family: string): Promise<LanguageModel> {
  const known = models.get(family);
  if (known !== undefined) return known;
  const lm = await loadLm(join(repoRoot, "test/golden/tiny-lms", family), device);
  models.set(family, lm);
  return lm;
}

afterEach(() => {
  vi.restoreAllMocks();
});

afterAll(async () => {
  for (const lm of models.values()) await lm.release();
  await device.close();
});

/** Ids of a text that nobody wrote. */
function randomIds(random: () => number, length: number, d_vocab: number): number[] {
  return Array.from({ length }, () => Math.floor(random() * d_vocab));
}

/** Every hook point that the model has. */
function allHooks(lm: LanguageModel): HookPoint[] {
  const names = ["hook_embed", "ln_final.hook_normalized", "logits"];
  for (let layer = 0; layer < lm.config.n_layers; layer++) {
    for (const name of [
      "hook_resid_pre",
      "hook_resid_mid",
      "hook_resid_post",
      "hook_attn_out",
      "attn.hook_out",
      "attn.hook_z",
      "attn.hook_pattern",
      "mlp.hook_in",
      "mlp.hook_post",
      "hook_mlp_out",
      "mlp.hook_out",
      "ln2.hook_normalized",
    ]) {
      names.push(`blocks.${layer}.${name}`);
    }
  }
  return names.flatMap((name) => {
    try {
      return [lm.hook(name)];
    } catch {
      return [];
    }
  });
}

async function expectLikeFresh(
  lm: LanguageModel,
  stream: Stream,
  hooks: readonly HookPoint[],
): Promise<void> {
  const found = await stream.read(hooks);
  const fresh = new Stream(lm);
  fresh.setIds(stream.ids);
  const want = await fresh.read(hooks);
  for (const hook of hooks) {
    const name = printHookPoint(hook);
    const { data, dims } = found.get(name)!;
    expect(dims, name).toEqual(want.get(name)!.dims);
    const width = hook.kind === "pattern" ? dims[2]! : data.length / stream.ids.length;
    expectRows(name, data, want.get(name)!.data, { width });
  }
}

describe.each(["llama", "gemma2", "gpt2", "gpt-neox", "gpt-neo", "olmo2"])("%s", (family) => {
  test("random edits and reads give what a fresh stream gives", async () => {
    const lm = await open(family);
    const random = seeded(family.length * 1000 + 7);
    const hooks = allHooks(lm);
    const stream = new Stream(lm);
    let ids = randomIds(random, 20, lm.config.d_vocab);
    for (let edit = 0; edit < 40; edit++) {
      stream.setIds(Int32Array.from(ids));
      const wanted = hooks.filter(() => random() < 0.08);
      if (wanted.length > 0) await expectLikeFresh(lm, stream, wanted);
      const at = Math.floor(random() * (ids.length + 1));
      const removed = Math.floor(random() * 4);
      const added = randomIds(random, Math.floor(random() * 4), lm.config.d_vocab);
      ids = [...ids.slice(0, at), ...added, ...ids.slice(at + removed)].slice(0, 40);
      if (ids.length === 0) ids = randomIds(random, 12, lm.config.d_vocab);
    }
  });

  test("a read cancelled anywhere leaves the stream whole", async () => {
    const lm = await open(family);
    const random = seeded(99);
    const hooks = allHooks(lm).filter(() => random() < 0.5);
    const stream = new Stream(lm);
    for (let round = 0; round < 12; round++) {
      stream.setIds(Int32Array.from(randomIds(random, 10 + round, lm.config.d_vocab)));
      const controller = new AbortController();
      cancelAfterRuns(lm, controller, round % (lm.config.n_layers + 1));
      await stream.read(hooks, controller.signal).catch((error: Error) => {
        expect(error.name).toBe("AbortError");
      });
      vi.restoreAllMocks();
      await expectLikeFresh(lm, stream, hooks);
    }
  });
});

describe("work", () => {
  test("an edit runs only what follows it", async () => {
    const { stream, ran } = await watched("llama", 30);
    await stream.read([{ kind: "resid_post", layer: 1 }]);
    expect(ran()).toEqual(["0: 0-30", "1: 0-30"]);
    const ids = stream.ids.slice();
    ids[20] = (ids[20]! + 1) % 100;
    expect(stream.setIds(ids)).toBe(20);
    await stream.read([{ kind: "resid_post", layer: 1 }]);
    expect(ran()).toEqual(["0: 20-30", "1: 20-30"]);
    await stream.read([{ kind: "resid_post", layer: 1 }]);
    expect(ran()).toEqual([]);
  });

  test("going deeper goes on from the frontier, whatever was read there", async () => {
    const { stream, ran } = await watched("llama", 30);
    await stream.read([{ kind: "z", layer: 1 }]);
    ran();
    await stream.logits([29]);
    expect(ran()).toEqual(["2: 0-30"]);
    await stream.predictions(3);
    await stream.read([{ kind: "z", layer: 1 }]);
    expect(ran()).toEqual([]);
    expect(stream.setIds(stream.ids.slice(0, 25))).toBe(25);
    await stream.read([{ kind: "z", layer: 1 }, { kind: "logits" }]);
    expect(ran()).toEqual([]);
  });

  test("after an edit and a shallow read, a deep one runs the deep blocks only", async () => {
    const { stream, ran } = await watched("gemma3", 30);
    const shallow: HookPoint = { kind: "resid_post", layer: 1 };
    await stream.read([shallow, { kind: "logits" }]);
    ran();
    stream.setIds(Int32Array.of(...stream.ids.subarray(0, 28), 5, 6, 7));
    await stream.read([shallow]);
    expect(ran()).toEqual(["0: 28-31", "1: 28-31"]);
    await stream.read([{ kind: "logits" }]);
    expect(ran()).toEqual(["2: 28-31", "3: 28-31", "4: 28-31", "5: 28-31"]);
  });

  test("a hook point read for the first time runs its block again from kept residuals", async () => {
    const { stream, ran } = await watched("gemma3", 30);
    await stream.read([{ kind: "resid_post", layer: 2 }, { kind: "logits" }]);
    ran();
    await stream.read([{ kind: "mlp_post", layer: 3 }]);
    expect(ran()).toEqual(["3: 0-30"]);
    await stream.read([{ kind: "mlp_post", layer: 3 }]);
    expect(ran()).toEqual([]);
    await stream.read([{ kind: "pattern", layer: 3 }]);
    expect(ran()).toEqual(["3: 0-30"]);
  });

  test("a cancelled read goes on where it stopped", async () => {
    const lm = await open("gemma3");
    const stream = new Stream(lm);
    stream.setIds(Int32Array.from(randomIds(seeded(3), 30, lm.config.d_vocab)));
    const controller = new AbortController();
    cancelAfterRuns(lm, controller, 3);
    await expect(stream.read([{ kind: "logits" }], controller.signal)).rejects.toThrow("aborted");
    vi.restoreAllMocks();
    const ran = watch(lm);
    await stream.read([{ kind: "logits" }]);
    expect(ran()).toEqual(["3: 0-30", "4: 0-30", "5: 0-30"]);
  });

  test("long sequences run in pieces with the same result", async () => {
    const lm = await open("llama-rope3");
    const ids = Int32Array.from(randomIds(seeded(5), 200, lm.config.d_vocab));
    const hooks = allHooks(lm);
    const whole = new Stream(lm);
    whole.setIds(ids);
    const want = await whole.read(hooks);
    vi.spyOn(lm, "rowsPerRun").mockReturnValue(64);
    const ran = watch(lm);
    const pieces = new Stream(lm);
    pieces.setIds(ids);
    const found = await pieces.read(hooks);
    expect(ran().slice(0, 4)).toEqual(["0: 0-64", "0: 64-128", "0: 128-192", "0: 192-200"]);
    for (const [name, { data, dims }] of found) {
      const width = dims.at(-1)!;
      expectRows(name, data, want.get(name)!.data, { width });
    }
  });
});

test("a run takes more rows of a small block, and never more scores than fit", async () => {
  const lm = await open("llama");
  const sized = (sizes: object) => {
    const large = Object.create(lm) as typeof lm;
    return Object.assign(large, { config: { ...lm.config, n_heads: 9, ...sizes } });
  };
  const smollm2 = sized({ d_model: 576, d_mlp: 1536 });
  const gemma2 = sized({ d_model: 2304, d_mlp: 9216 });
  expect([smollm2, gemma2].map((it) => it.rowsPerRun(1000))).toEqual([256, 128]);
  expect(smollm2.rowsPerRun(8192) * 8192 * 9).toBeLessThanOrEqual(3 * 2 ** 20);
  expect(smollm2.rowsPerRun(10 ** 6)).toBe(16);
});

test("bytes grow with the sequence and go with dispose", async () => {
  const { lm, stream } = await watched("llama", 30);
  await stream.read([{ kind: "resid_post", layer: 2 }]);
  const { n_layers, d_model, n_kv_heads, d_head } = lm.config;
  const least = 4 * 30 * (n_layers * 2 * n_kv_heads * d_head + d_model);
  expect(stream.bytes()).toBeGreaterThanOrEqual(least);
  expect(stream.bytes()).toBeLessThanOrEqual(least * 1.6);
  stream.dispose();
  expect(stream.bytes()).toBe(0);
});

test("an empty sequence reads as no rows", async () => {
  const lm = await open("llama");
  const stream = new Stream(lm);
  const found = await stream.read(allHooks(lm));
  for (const { dims } of found.values()) expect(dims).toContain(0);
  const { nextTokenLoss } = await stream.predictions(3);
  expect(nextTokenLoss.length).toBe(0);
});

test("more tokens than the context, and ids that do not exist, are refused", async () => {
  const lm = await open("llama");
  const stream = new Stream(lm);
  expect(() => stream.setIds(new Int32Array(65))).toThrow(
    "65 tokens are more than llama can read: its context is 64 tokens",
  );
  stream.setIds(Int32Array.of(1, 101));
  await expect(stream.read([{ kind: "embed" }])).rejects.toThrow(
    "token id 101 is not in llama: its ids are 0 to 100",
  );
});

async function watched(
  family: string,
  length: number,
): Promise<{ lm: LanguageModel; stream: Stream; ran: () => string[] }> {
  const lm = await open(family);
  const stream = new Stream(lm);
  stream.setIds(Int32Array.from(randomIds(seeded(3), length, lm.config.d_vocab)));
  return { lm, stream, ran: watch(lm) };
}

/** Lists the runs of blocks since the last time it was asked. */
function watch(lm: LanguageModel): () => string[] {
  const spy = vi.spyOn(lm, "runBlock");
  return () => {
    const runs = spy.mock.calls.map(([layer, { from, to }]) => `${layer}: ${from}-${to}`);
    spy.mockClear();
    return runs;
  };
}

/** Cancels while the block after `runs` others is running. */
function cancelAfterRuns(lm: LanguageModel, controller: AbortController, runs: number): void {
  const run = lm.runBlock.bind(lm);
  let count = 0;
  vi.spyOn(lm, "runBlock").mockImplementation(async (...args) => {
    if (count++ === runs) controller.abort();
    return run(...args);
  });
}
