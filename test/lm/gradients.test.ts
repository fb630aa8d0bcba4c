import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readSafetensors } from "../../server/encoding/safetensors.ts";
import { LmGradients, residGradients } from "../../server/lm/gradients.ts";
import { loadLm } from "../../server/lm/load.ts";
import { openDevice } from "../../server/runtime/device.ts";
import { repoRoot } from "../parts.ts";

const folder = (family: string) => join(repoRoot, "test/golden/tiny-lms", family);
const opened = openDevice({ device: "cpu", threads: 1, memoryBudget: 2 ** 33 });

/** Families whose goldens have gradients. */
const families = [
  "gemma2", "gemma3", "gpt-neox", "gpt2", "llama", "llama-rope3", "mistral", "olmo2", "qwen2", "qwen3", // prettier-ignore
];

describe("gradient of the last position's logit 5 with regard to resid_pre", () => {
  for (const family of families) {
    test(family, async () => {
      const { device } = await opened;
      const lm = await loadLm(folder(family), device);
      const gradients = new LmGradients(lm);
      const golden = readSafetensors(readFileSync(join(folder(family), "golden.safetensors")));
      const [batch, tokens] = golden.get("ids")!.dims as [number, number];
      const ids = Int32Array.from(golden.get("ids")!.data as BigInt64Array, Number);
      const layers = [...Array(lm.config.n_layers).keys()];
      let worst = 0, zero = 0;
      for (let b = 0; b < batch; b++) {
        const metric = { position: tokens - 1, logits: [{ id: 5, weight: 1 }] };
        const row = ids.slice(b * tokens, (b + 1) * tokens);
        const found = await residGradients(gradients, row, metric, layers);
        for (const layer of layers) {
          const all = golden.get(`grad_resid_pre.${layer}`)!.data as Float32Array;
          const size = tokens * lm.config.d_model;
          const expected = all.subarray(b * size, (b + 1) * size);
          for (let t = 0; t < tokens; t++) {
            const d = lm.config.d_model;
            const e = expected.subarray(t * d, t * d + d), f = found.get(layer)!.data.subarray(t * d, t * d + d);
            const rms = Math.sqrt(e.reduce((s, x) => s + x * x, 0) / d);
            const diff = Math.max(...e.map((x, i) => Math.abs(x - f[i]!)));
            if (rms === 0) zero = Math.max(zero, diff); else worst = Math.max(worst, diff / rms);
          }
        }
      }
      console.log(family, worst, zero);
    });
  }
});
