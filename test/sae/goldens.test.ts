/** Every golden SAE through loadSae, encode and decode, against the numbers of the library that wrote it. */
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Device } from "../../server/runtime/device.ts";
import { openDevice } from "../../server/runtime/device.ts";
import { loadSae } from "../../server/sae/load.ts";
import { openSae, type Sae } from "../../server/sae/sae.ts";
import { expectRows, goldenFolder, readTensors, rows } from "./golden-files.ts";
import { testDeviceName } from "../test-device.ts";

type FactValue = string | number | boolean;

/** One golden SAE. */
interface Case {
  /** Folder of the golden under test/golden/sae-formats. */
  readonly golden: string;
  /** What is loaded, relative to that folder; the folder itself by default. */
  readonly load?: string;
  readonly facts?: Readonly<Record<string, FactValue>>;
  /** Keys of golden.safetensors; `forward: null` where the library has none. */
  readonly file?: string;
  readonly acts?: string;
  readonly recon?: string | null;
  readonly forward?: string | null;
  readonly format: string;
  readonly architecture: string;
  /** Of a row's RMS. */
  readonly tolerance?: number;
  /** The golden holds several sequences of this length, to be given one by one. */
  readonly sequence?: number;
}

const hook = "blocks.9.hook_resid_post";
const hookOut = "blocks.9.hook_mlp_out";
const lens = (golden: string, architecture: string, rest: Partial<Case> = {}): Case => ({
  golden: `sae-lens/${golden}`,
  architecture,
  format: "SAELens",
  forward: "forward",
  ...rest,
});
const dl = (golden: string, architecture: string, rest: Partial<Case> = {}): Case => ({
  golden: `dictionary-learning/${golden}`,
  architecture,
  format: "dictionary_learning",
  ...rest,
});

const cases: readonly Case[] = [
  lens("standard/plain", "standard"),
  lens("standard/no_b_dec_in", "standard"),
  lens("standard/x3d", "standard"),
  lens("standard/expected_average_only_in_unfolded", "standard"),
  lens("standard/layer_norm", "standard", { recon: null }),
  // Half-precision goldens were computed in half precision: goldens/README section 11.
  lens("standard/float16", "standard", { tolerance: 1e-2 }),
  lens("standard/bfloat16", "standard", { tolerance: 5e-2 }),
  lens("topk/plain", "topk"),
  lens("topk/k_larger_than_positive", "topk"),
  lens("topk/inference_from_training_rescaled", "topk"),
  lens("topk/inference_from_training_rescaled", "topk", { load: "training_checkpoint" }),
  lens("abstopk/plain", "abstopk"),
  lens("jumprelu/plain", "jumprelu"),
  lens("jumprelu/no_b_dec_in", "jumprelu"),
  lens("gated/plain", "gated"),
  lens("batchtopk/inference_rescaled", "jumprelu"),
  lens("batchtopk/inference_rescaled", "batchtopk", { load: "training_checkpoint" }),
  lens("matryoshka_batchtopk/inference", "jumprelu"),
  lens("matryoshka_batchtopk/inference", "matryoshka", { load: "training_checkpoint" }),
  lens("transcoder/plain", "transcoder"),
  lens("skip_transcoder/plain", "skip_transcoder", { facts: { hookOut } }),
  lens("jumprelu_skip_transcoder/plain", "jumprelu_skip_transcoder", { facts: { hookOut } }),
  lens("matching_pursuit/plain", "matching_pursuit"),
  lens("temporal/topk_tied", "temporal", { sequence: 10 }),
  lens("temporal/relu_untied_scalar", "temporal", { sequence: 10 }),
  lens("legacy/v2_hook_point", "standard"),
  lens("legacy/v3_hook_z", "standard"),
  lens("legacy/v3_scaling_factor_ones", "standard"),
  ...["ae.pt", "ae.safetensors"].flatMap((load): Case[] => [
    dl("standard_AutoEncoder", "standard", {
      load,
      acts: "feature_acts_normalized",
      recon: "recon_normalized",
    }),
    dl("standard_AutoEncoder", "standard", { load, facts: { normalizeDecoder: false } }),
    dl("standard_AutoEncoderNew", "standard", { load, facts: { hook } }),
    dl("gated_GatedAutoEncoder", "gated", { load }),
    dl("topk_AutoEncoderTopK", "topk", { load }),
    dl("topk_AutoEncoderTopK", "batchtopk", {
      load,
      facts: { useThreshold: true },
      acts: "feature_acts_threshold",
      recon: null,
    }),
    dl("batchtopk_BatchTopKSAE", "batchtopk", { load }),
    dl("matryoshka_MatryoshkaBatchTopKSAE", "matryoshka", { load }),
    dl("jumprelu_JumpReluAutoEncoder", "jumprelu", { load }),
  ]),
  // SAELens' own reading of the same files agrees where it can be right (AutoEncoder without normalisation).
  ...["gated_GatedAutoEncoder", "topk_AutoEncoderTopK", "batchtopk_BatchTopKSAE"].map((golden) =>
    dl(golden, golden.split("_")[0]!, { file: "golden_via_saelens.safetensors" }),
  ),
  dl("standard_AutoEncoder", "standard", {
    file: "golden_via_saelens.safetensors",
    facts: { normalizeDecoder: false },
  }),
  dl("matryoshka_MatryoshkaBatchTopKSAE", "matryoshka", { file: "golden_via_saelens.safetensors" }),
  dl("jumprelu_JumpReluAutoEncoder", "jumprelu", { file: "golden_via_saelens.safetensors" }),
  ...(["relu", "topk", "batchtopk", "jumprelu"] as const).map((name): Case => ({
    golden: `sae-bench/${name}`,
    format: "SAEBench",
    architecture: name === "relu" ? "standard" : name,
  })),
  {
    golden: "third-party/eai-sparsify/layers.10",
    format: "sparsify",
    architecture: "topk",
  },
  {
    golden: "third-party/gemma-scope-2b-pt-res",
    load: "layer_9/width_128/average_l0_12",
    format: "Gemma Scope",
    architecture: "jumprelu",
  },
  {
    golden: "third-party/gemma-scope-2-1b-pt",
    load: "resid_post/layer_9_width_128_l0_small",
    format: "Gemma Scope 2",
    architecture: "jumprelu",
  },
  {
    golden: "third-party/Llama3_1-8B-Base-LXR-8x",
    load: "Llama3_1-8B-Base-L9R-8x",
    file: "golden_folded.safetensors",
    format: "Llama Scope",
    architecture: "jumprelu",
  },
  {
    golden: "third-party/SAE-Res-Qwen3-1.7B-Base-W32K-L0_50",
    format: "Qwen Scope",
    architecture: "topk",
  },
  {
    golden: "third-party/DeepSeek-R1-Distill-Llama-8B-SAE-l19",
    format: "DeepSeek-R1 (qresearch)",
    architecture: "standard",
  },
];

let device: Device;

beforeAll(async () => {
  ({ device } = await openDevice({ device: testDeviceName, threads: 2, memoryBudget: 2 ** 30 }));
});

afterAll(() => device.close());

describe("golden SAEs", () => {
  test("none is left out", () => {
    const known = new Set(cases.map(({ golden }) => golden));
    const all = readdirSync(goldenFolder(), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith("golden.json"))
      .map((path) => dirname(path).replaceAll("\\", "/"));
    expect(all.filter((golden) => !known.has(golden))).toEqual([]);
    expect(all.length).toBeGreaterThan(40);
  });

  for (const it of cases) {
    const facts = it.facts ? ` ${JSON.stringify(it.facts)}` : "";
    const name = [it.golden, it.load, it.file].filter(Boolean).join("/");
    test(`${name}${facts}`, () => check(it));
  }
});

async function check(it: Case): Promise<void> {
  const { golden, load = "", facts = {}, tolerance = 1e-5 } = it;
  const description = await loadSae(goldenFolder(golden, load), { facts });
  expect(description.format).toBe(it.format);
  expect(description.config.architecture).toBe(it.architecture);
  const sae = await openSae(description, device);
  const { d_in, d_sae, d_out } = sae.config;
  const wanted = readTensors(goldenFolder(golden, it.file ?? "golden.safetensors"));
  const all = rows(wanted, "x", d_in);
  const length = it.sequence ?? all.dims[0]!;
  for (let from = 0; from < all.dims[0]!; from += length) {
    const part = (key: string, width: number) => {
      const whole = rows(wanted, key, width);
      const data = whole.data.subarray(from * width, (from + length) * width);
      return { dtype: "float32" as const, dims: [length, width], data };
    };
    const x = part("x", d_in);
    const acts = await sae.encode(x);
    expectStrongestFirst(acts);
    expectRows(await sae.encodeDense(x), part(it.acts ?? "feature_acts", d_sae), tolerance, "acts");
    const recon = it.recon === undefined ? "recon" : it.recon;
    if (recon !== null) expectRows(await sae.decode(acts), part(recon, d_out), tolerance, "recon");
    const forward = it.forward ?? recon;
    if (forward !== null)
      expectRows(await sae.decode(acts, x), part(forward, d_out), tolerance, "forward");
  }
  await sae.release();
  expect(device.ledger.plannedBytes).toBe(0);
}

function expectStrongestFirst({ offsets, acts }: Awaited<ReturnType<Sae["encode"]>>): void {
  for (let row = 0; row + 1 < offsets.length; row++)
    for (let entry = offsets[row]! + 1; entry < offsets[row + 1]!; entry++)
      expect(Math.abs(acts[entry - 1]!)).toBeGreaterThanOrEqual(Math.abs(acts[entry]!));
}
