/** Wide SAEs on devices that sort short rows only: the same latents as everywhere. */
import { afterAll, expect, test } from "vitest";
import { Device } from "../../server/runtime/device.ts";
import { loadSae } from "../../server/sae/load.ts";
import { openSae } from "../../server/sae/sae.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { testDeviceName } from "../test-device.ts";
import { filled, made } from "./made-saes.ts";

/** Looks at rows whole. */
class LongSorter extends Device {
  override get sortsShortRows(): boolean {
    return false;
  }
}

/** Looks in stretches, as WebGPU does. */
class ShortSorter extends Device {
  override get sortsShortRows(): boolean {
    return true;
  }
}

const whole = new LongSorter(testDeviceName, 1, 2 ** 30);
const stretched = new ShortSorter(testDeviceName, 1, 2 ** 30);
afterAll(async () => {
  await whole.close();
  await stretched.close();
});

test.each([
  ["standard", {}],
  ["topk", { k: 40 }],
])("%s", async (architecture, options) => {
  const [d_in, d_sae] = [8, 6144];
  const parameters = {
    W_enc: filled([d_in, d_sae], 1.1),
    b_enc: tensor("float32", [d_sae], new Float32Array(d_sae).fill(-0.6)),
    W_dec: filled([d_sae, d_in], 1.7),
    b_dec: filled([d_in], 1.9),
  };
  const metadata = { sae_lens_version: "6.0.0", hook_name: "blocks.0.hook_resid_post" };
  const cfg = { architecture, d_in, d_sae, apply_b_dec_to_input: false, metadata, ...options };
  const folder = made({
    "cfg.json": cfg,
    "sae_weights.safetensors": new Map(Object.entries(parameters)),
  });
  const x = filled([12, d_in], 2.3);
  // Some rows wake more than the 2,048 latents of a stretch, others a few.
  for (let at = 0; at < x.data.length; at++) x.data[at]! *= at % (3 * d_in) < d_in ? 6 : 0.2;
  const [wanted, found] = await Promise.all(
    [whole, stretched].map(async (device) => {
      const sae = await openSae(await loadSae(folder), device);
      // The second time k has grown to what the first time needed.
      const sparse = [await sae.encode(x), await sae.encode(x)];
      await sae.release();
      return sparse;
    }),
  );
  const counts = wanted![0]!.offsets.slice(1).map((end, row) => end - wanted![0]!.offsets[row]!);
  expect(Math.max(...counts)).toBeGreaterThan(architecture === "standard" ? 2048 : 39);
  for (const at of [0, 1]) {
    expect(found![at]!.offsets).toEqual(wanted![at]!.offsets);
    expect(found![at]!.latents).toEqual(wanted![at]!.latents);
    expect(found![at]!.acts).toEqual(wanted![at]!.acts);
  }
});
