// Blocks from a given residual: the same numbers as the whole model, in one run or in several.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readSafetensors } from "../../server/encoding/safetensors.ts";
import { loadLm } from "../../server/lm/load.ts";
import { runBlocks } from "../../server/lm/run-blocks.ts";
import { openDevice } from "../../server/runtime/device.ts";
import { repoRoot } from "../parts.ts";

test.each([["one run", 256] as const, ["runs of seven rows", 7] as const])(
  "from the middle to the end: %s",
  async (_, rows) => {
    const folder = join(repoRoot, "test/golden/tiny-lms/llama");
    const golden = readSafetensors(readFileSync(join(folder, "golden.safetensors")));
    const { device } = await openDevice({ device: "cpu", threads: 1, memoryBudget: 2 ** 30 });
    const lm = await loadLm(folder, device);
    lm.rowsPerRun = () => rows;
    const all = golden.get("ids")!;
    const ids = Int32Array.from(all.data as ArrayLike<number | bigint>, Number).slice(0, 24);
    const of = (name: string): Float32Array =>
      (golden.get(name)!.data as Float32Array).slice(0, 24 * lm.config.d_model);
    const last = lm.config.n_layers - 1;
    const begun = await runBlocks(lm, lm.embed(ids, 0), {
      from: 0,
      to: 1,
      read: new Map([[0, ["mlp_out"]]]),
    });
    const found = [
      [begun.resid, of("blocks.0.hook_resid_post")],
      [begun.outputs.get(0)!.get("mlp_out")!, of("blocks.0.hook_mlp_out")],
      [
        (await runBlocks(lm, begun.resid, { from: 1, to: last + 1 })).resid,
        of(`blocks.${last}.hook_resid_post`),
      ],
    ] as const;
    for (const [have, want] of found) {
      expect(have.length).toBe(want.length);
      const rms = Math.sqrt(want.reduce((sum, it) => sum + it * it, 0) / want.length);
      const worst = want.reduce((most, it, at) => Math.max(most, Math.abs(it - have[at]!)), 0);
      expect(worst / rms).toBeLessThan(1e-4);
    }
    await lm.release();
    await device.close();
  },
);
