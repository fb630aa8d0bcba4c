/** What happens inside a block: one family against plain loops, all families against the identities between hook points. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openSafetensors } from "../../server/files/weights.ts";
import type { BlockHookKind } from "../../server/lm/hook-points.ts";
import { printHookPoint } from "../../server/lm/hook-points.ts";
import type { LanguageModel } from "../../server/lm/language-model.ts";
import { loadLm } from "../../server/lm/load.ts";
import { Stream } from "../../server/lm/stream.ts";
import { repoRoot } from "../parts.ts";
import { expectRows, testDevice } from "./closeness.ts";
import { gemma2Block } from "./reference.ts";

const folder = join(repoRoot, "test/golden/tiny-lms");
const device = testDevice();
const ids = Int32Array.from({ length: 21 }, (_, i) => (i * 37 + 11) % 101);

test("Gemma-2 against plain loops, every hook point of every layer", async () => {
  const lm = await loadLm(join(folder, "gemma2"), device);
  const weights = openSafetensors(join(folder, "gemma2/model.safetensors"));
  const read = reader(lm);
  for (let layer = 0; layer < lm.config.n_layers; layer++) {
    const { data: resid } = await read("resid_pre", layer);
    const rows = Array.from(ids, (_, t) =>
      Float64Array.from(resid.subarray(t * lm.config.d_model, (t + 1) * lm.config.d_model)),
    );
    const want = gemma2Block(weights, layer, rows);
    expect(Object.keys(want).length).toBe(11);
    for (const [kind, values] of Object.entries(want)) {
      const { data } = await read(kind as BlockHookKind, layer);
      const width = kind === "pattern" ? ids.length : values.length / ids.length;
      expectRows(`layer ${layer} ${kind}`, data, values, { width, tolerance: 2e-5 });
    }
  }
  weights.close();
  await lm.release();
});

describe.each(readdirSync(folder))("%s", (family) => {
  test("hook points fit each other in every layer", async () => {
    const lm = await loadLm(join(folder, family), device);
    const { n_layers, n_heads, d_model, layers } = lm.config;
    const { absentHooks } = lm.architecture;
    const read = reader(lm);
    for (let layer = 0; layer < n_layers; layer++) {
      const rows = async (kind: BlockHookKind) => (await read(kind, layer)).data;
      const pre = await rows("resid_pre");
      const attn = await rows("attn_out");
      const mlp = await rows("mlp_out");
      const post = pre.map((x, i) => x + attn[i]! + mlp[i]!);
      expectRows("resid_post", await rows("resid_post"), post, { width: d_model });
      if (absentHooks.resid_mid === undefined) {
        const mid = pre.map((x, i) => x + attn[i]!);
        expectRows("resid_mid", await rows("resid_mid"), mid, { width: d_model });
      }
      const { data: pattern, dims } = await read("pattern", layer);
      expect(dims).toEqual([n_heads, ids.length, ids.length]);
      checkPattern(pattern, layers[layer]!.window ?? Infinity);
      if (layer > 0) {
        const before = await read("resid_post", layer - 1);
        expect(pre).toEqual(before.data);
      }
    }
    await lm.release();
  });
});

/** Rows sum to 1; nothing looks ahead or out of the window; everything inside is looked at. */
function checkPattern(pattern: Float32Array, window: number): void {
  const n = ids.length;
  for (let row = 0; row < pattern.length / n; row++) {
    const q = row % n;
    let sum = 0;
    for (let p = 0; p < n; p++) {
      const weight = pattern[row * n + p]!;
      const seen = p <= q && p > q - window;
      expect(weight > 0, `row ${row} at ${p}`).toBe(seen);
      sum += weight;
    }
    expect(sum).toBeCloseTo(1, 5);
  }
}

function reader(lm: LanguageModel) {
  const stream = new Stream(lm);
  stream.setIds(ids);
  return async (kind: BlockHookKind, layer: number) => {
    const hook = { kind, layer };
    return (await stream.read([hook])).get(printHookPoint(hook))!;
  };
}
