/** The SmolLM2 SAEs on real residuals, against sae_lens 6.54.12 (shared material, not in a clone). */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { loadSae } from "../../server/sae/load.ts";
import { openSae, type Sae } from "../../server/sae/sae.ts";
import type { Tensor } from "../../server/tensor/tensor.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { describeWith, shared } from "../parts.ts";
import { expectRows, readTensors, rows } from "./golden-files.ts";
import { testDeviceName } from "../test-device.ts";

const prompts = ["short", "unicode", "code", "long", "single", "numbers", "chat", "whitespace"];

describeWith(shared("models/saes/hover_golden.safetensors"), "SmolLM2 SAEs", () => {
  let device: Device;
  let golden: Map<string, Tensor>;
  let residuals: Map<string, Tensor>;

  beforeAll(async () => {
    ({ device } = await openDevice({ device: testDeviceName, threads: 2, memoryBudget: 2 ** 30 }));
    golden = readTensors(shared("models/saes/hover_golden.safetensors"));
    residuals = readTensors(shared("goldens/smollm2/lm_golden_f16.safetensors"));
  });

  afterAll(() => device.close());

  const open = async (name: string): Promise<Sae> =>
    openSae(await loadSae(shared("models/saes", name)), device);

  // The f16 copy rounds the golden's weights to 11 bits: errors up to 7e-4 and 4e-3, and 6 latents at their threshold flip.
  test.each([
    ["smollm2-l9-w1152-k32", "smollm2-l9-w1152-k32", { acts: 1e-5, flips: 0, recon: 1e-5 }],
    ["smollm2-l9-w9216-k32-f16", "smollm2-l9-w9216-k32", { acts: 2e-3, flips: 8, recon: 1e-2 }],
  ])("%s", async (folder, name, allowed) => {
    const sae = await open(folder);
    let flips = 0;
    for (const prompt of prompts) {
      const x = rows(residuals, `${prompt}/blocks.9.hook_resid_post`);
      const of = (key: string): string => `${name}/${prompt}/${key}`;
      const acts = await sae.encode(x);
      const l0 = golden.get(of("l0"))!.data as Int32Array;
      const top = rows(golden, of("top10_acts"));
      for (let token = 0; token < l0.length; token++) {
        const from = acts.offsets[token]!;
        const n = acts.offsets[token + 1]! - from;
        flips += Math.abs(n - l0[token]!);
        for (let rank = 0; rank < 10; rank++) {
          const wanted = top.data[token * 10 + rank]!;
          const act = rank < n ? acts.acts[from + rank]! : 0;
          const error = Math.abs(act - wanted) / Math.max(1, wanted);
          expect(error, `${prompt}, token ${token}, rank ${rank}`).toBeLessThan(allowed.acts);
        }
      }
      const recon = rows(golden, of("recon_first4"));
      const n = recon.dims[0]!;
      const first = tensor("float32", [n, 576], x.data.subarray(0, n * 576));
      const x_hat = await sae.decode(await sae.encode(first), first);
      expectRows(x_hat, recon, allowed.recon, `${prompt}, reconstruction`);
    }
    expect(flips).toBeLessThanOrEqual(allowed.flips);
    await sae.release();
  });

  test("the meta-SAE reads unit decoder rows", async () => {
    const [meta, parent] = [
      await open("meta-w288-k4-of-w9216"),
      await open("smollm2-l9-w9216-k32-f16"),
    ];
    expect(meta.config.metaOf).toBe("smollm2-l9-w9216-k32");
    const latents = Array.from({ length: 256 }, (_, latent) => latent);
    const x = tensor("float32", [256, 576], parent.decoderRows(latents));
    // Rows of the f16 copy; activations here are about 0.3.
    const dense = await meta.encodeDense(x);
    const wanted = rows(golden, "meta/acts_first256_rows");
    const flipped = dense.data.filter((act, at) => Math.abs(act - wanted.data[at]!) > 1e-3).length;
    expect(flipped).toBeLessThanOrEqual(4);
    await meta.release();
    await parent.release();
  });
});
