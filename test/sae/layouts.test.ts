/** Layouts and settings that no golden covers, against the formulas of their documentation written out in plain loops. */
import { readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { loadSae } from "../../server/sae/load.ts";
import { openSae, type Sae } from "../../server/sae/sae.ts";
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";
import { copyOf, filled, made } from "./made-saes.ts";
import {
  asTensor,
  b_dec,
  d_in,
  d_sae,
  decoded,
  each,
  type Matrix,
  matrix,
  negative,
  plain,
  plus,
  preActsOf,
  product,
  sum,
  topk,
  turned,
  W_enc,
  weights,
  x,
} from "./plain-maths.ts";
import { type TorchEntry, torchFile } from "./torch-file.ts";
import { expectRows, goldenFolder, readTensors, rows } from "./golden-files.ts";
import { testDeviceName } from "../test-device.ts";

const hook = "blocks.1.hook_resid_post";

let device: Device;

beforeAll(async () => {
  ({ device } = await openDevice({ device: testDeviceName, threads: 1, memoryBudget: 2 ** 28 }));
});

afterAll(() => device.close());

const open = async (path: string, facts = {}): Promise<Sae> =>
  openSae(await loadSae(path, { facts }), device);

async function expectSae(sae: Sae, wanted: { acts: Matrix; x_hat: Matrix }): Promise<void> {
  const acts = await sae.encode(x);
  expectRows(await sae.encodeDense(x), asTensor(wanted.acts), 1e-5, "acts");
  expectRows(await sae.decode(acts, x), asTensor(wanted.x_hat), 1e-5, "x_hat");
  await sae.release();
}

const lensCfg = (rest: object): object => ({
  architecture: "standard",
  d_in,
  d_sae,
  dtype: "float32",
  apply_b_dec_to_input: false,
  normalize_activations: "none",
  metadata: { sae_lens_version: "6.0.0", hook_name: hook, prepend_bos: false },
  ...rest,
});
const lens = (rest: object, files = {}, tensors: Record<string, Tensor> = {}): string =>
  made({
    "cfg.json": lensCfg(rest),
    "sae_weights.safetensors": new Map(Object.entries({ ...weights, ...tensors })),
    ...files,
  });

describe("SAELens settings", () => {
  test("constant_norm_rescale", async () => {
    const input = matrix(x);
    const factor = input.map((row) => Math.sqrt(d_in) / Math.hypot(...row));
    const scaled = input.map((row, at) => row.map((v) => v * factor[at]!));
    const { acts, x_hat } = plain(plus(scaled, negative(b_dec)));
    const sae = await open(
      lens({ normalize_activations: "constant_norm_rescale", apply_b_dec_to_input: true }),
    );
    await expect(sae.decode(await sae.encode(x))).rejects.toMatchObject({
      code: "sae-decode-needs-input",
    });
    await expectSae(sae, {
      acts,
      x_hat: x_hat.map((row, at) => row.map((v) => v / factor[at]!)),
    });
  });

  test.each([
    ["a fact", {}, { scalingFactor: 0.5 }],
    ["activation_scaler.json", { "activation_scaler.json": { scaling_factor: 0.5 } }, {}],
  ])("expected_average_only_in with its factor from %s", async (_, files, facts) => {
    const { acts, x_hat } = plain(
      plus(
        each(matrix(x), (v) => v * 0.5),
        negative(b_dec),
      ),
    );
    const folder = lens(
      { normalize_activations: "expected_average_only_in", apply_b_dec_to_input: true },
      files,
    );
    const sae = await open(folder, facts);
    const row = sae.decoderRows([3]);
    expect([...row]).toEqual(
      [...weights.W_dec.data.subarray(18, 24)].map((v) => Math.fround(v * 2)),
    );
    await expectSae(sae, { acts, x_hat: each(x_hat, (v) => v * 2) });
  });

  test("expected_average_only_in without factor says so", async () => {
    const { badges } = await loadSae(lens({ normalize_activations: "expected_average_only_in" }));
    expect(badges).toEqual(["trained on scaled activations, factor not stated: read unscaled"]);
  });

  test("finetuning_scaling_factor multiplies activations before decoding", async () => {
    const scale = filled([d_sae], 3.1);
    const { acts } = plain(matrix(x));
    const scaled = each(acts, (v, at) => v * scale.data[at]!);
    const folder = lens({ finetuning_scaling_factor: true }, {}, { scaling_factor: scale });
    await expectSae(await open(folder), { acts, x_hat: decoded(scaled) });
  });

  test("log_threshold of older JumpReLU checkpoints", async () => {
    const log = tensor("float32", [d_sae], new Float32Array(d_sae).fill(Math.log(0.7)));
    const preActs = preActsOf(matrix(x));
    const acts = each(preActs, (v) => (v > 0.7 ? v : 0));
    const folder = lens({ architecture: "jumprelu" }, {}, { log_threshold: log });
    await expectSae(await open(folder), { acts, x_hat: decoded(acts) });
  });

  test.each([
    [{ hook_name: "W_dec rows of wide" }, "wide"],
    [{ hook_name: hook, meta_of: "wide" }, "wide"],
    [{ hook_name: hook, meta_sae_of: "wide" }, "wide"],
    [{ hook_name: hook }, undefined],
  ])("metadata %j says which SAE's rows it reads", async (metadata, parent) => {
    const { config } = await loadSae(
      lens({ metadata: { sae_lens_version: "6.0.0", prepend_bos: false, ...metadata } }),
    );
    expect(config.metaOf).toBe(parent);
    expect(config.hook).toBe(parent ?? hook);
  });

  test("one attention head", async () => {
    const metadata = { sae_lens_version: "6.0.0", hook_name: hook, hook_head_index: 2 };
    await expect(loadSae(lens({ metadata }))).rejects.toMatchObject({
      code: "unsupported-sae-setting",
    });
  });

  test("id 0 as BOS policy is a policy: false stays false, absent is said", async () => {
    const without = { sae_lens_version: "6.0.0", hook_name: hook };
    const { config, badges } = await loadSae(lens({ metadata: without }));
    expect(config.prependBos).toBe(true);
    expect(badges).toEqual(["BOS policy not stated, BOS assumed"]);
    expect((await loadSae(lens({}))).config.prependBos).toBe(false);
  });
});

describe("Gemma Scope", () => {
  const skip = filled([d_in, d_in], 2.9);
  const params = {
    w_enc: weights.W_enc,
    b_enc: weights.b_enc,
    w_dec: weights.W_dec,
    b_dec: weights.b_dec,
    threshold: tensor("float32", [d_sae], new Float32Array(d_sae).fill(0.3)),
  };

  test("2: an affine transcoder's skip matrix is stored [d_in, d_out]", async () => {
    const folder = made({
      "config.json": {
        architecture: "jump_relu",
        model_name: "gemma-v3-1b-pt",
        hf_hook_point_in: "model.layers.9.pre_feedforward_layernorm.output",
        hf_hook_point_out: "model.layers.9.post_feedforward_layernorm.output",
        affine_connection: true,
      },
      "params.safetensors": new Map<string, Tensor>([
        ...Object.entries(params),
        ["affine_skip_connection", skip],
      ]),
    });
    const preActs = preActsOf(matrix(x));
    const acts = each(preActs, (v) => (v > 0.3 ? v : 0));
    const beside = product(matrix(x), matrix(skip));
    const latents = decoded(acts);
    const sae = await open(folder);
    expect(sae.config).toMatchObject({
      architecture: "jumprelu_skip_transcoder",
      hook: "blocks.9.mlp.hook_in",
      // The post-norm's output is the contribution, not the raw MLP output.
      hookOut: "blocks.9.hook_mlp_out",
      model: "google/gemma-3-1b-pt",
    });
    await expectSae(sae, {
      acts,
      x_hat: sum(latents, beside),
    });
  });

  test("1: hook and model stand in the path", async () => {
    const golden = copyOf("third-party/gemma-scope-2b-pt-res");
    const folder = join(golden, "layer_9/width_128/average_l0_12");
    const { config } = await loadSae(folder);
    expect(config).toMatchObject({
      hook: "blocks.9.hook_resid_post",
      model: "google/gemma-2-2b",
      declared: { l0: 12 },
    });
    const bytes = readFileSync(join(folder, "params.npz"));
    const renamed = made({ "params.npz": bytes });
    await expect(loadSae(renamed)).rejects.toMatchObject({ code: "sae-fact-missing" });
  });
});

describe("sparsify", () => {
  const cfg = { activation: "topk", expansion_factor: 2, num_latents: d_sae, k: 3, d_in };
  const tensors = {
    "encoder.weight": asTensor(turned(W_enc)),
    "encoder.bias": weights.b_enc,
    W_dec: weights.W_dec,
    b_dec: weights.b_dec,
  };

  test("a skip transcoder does not subtract b_dec", async () => {
    const skip = filled([d_in, d_in], 2.9);
    const folder = made(
      {
        "cfg.json": { ...cfg, transcode: true, skip_connection: true },
        "sae.safetensors": new Map<string, Tensor>([...Object.entries(tensors), ["W_skip", skip]]),
      },
      "layers.4.mlp",
    );
    const acts = topk(preActsOf(matrix(x)), 3);
    const beside = product(matrix(x), turned(matrix(skip)));
    const latents = decoded(acts);
    const sae = await open(folder);
    expect(sae.config).toMatchObject({
      hook: "blocks.4.mlp.hook_in",
      hookOut: "blocks.4.mlp.hook_out",
    });
    await expectSae(sae, {
      acts,
      x_hat: sum(latents, beside),
    });
  });

  test("a module's folder is its hook point", async () => {
    const files = { "cfg.json": cfg, "sae.safetensors": new Map(Object.entries(tensors)) };
    const { config } = await loadSae(made(files, "layers.4.mlp"));
    expect(config.hook).toBe("blocks.4.mlp.hook_out");
    await expect(loadSae(made(files, "my-sae"))).rejects.toMatchObject({
      code: "sae-fact-missing",
    });
  });
});

/** Encoder and decoder as two nn.Linear. */
function linear(encoder: string, decoder: string): Record<string, Tensor<"float32">> {
  return {
    [`${encoder}.weight`]: asTensor(turned(W_enc)),
    [`${encoder}.bias`]: weights.b_enc,
    [`${decoder}.weight`]: asTensor(turned(matrix(weights.W_dec))),
    [`${decoder}.bias`]: weights.b_dec,
  };
}

/** An OpenAI checkpoint. */
function openAi(rest: Record<string, TorchEntry>): Buffer {
  return torchFile({
    pre_bias: weights.b_dec,
    latent_bias: weights.b_enc,
    "encoder.weight": asTensor(turned(W_enc)),
    "decoder.weight": asTensor(turned(matrix(weights.W_dec))),
    ...rest,
  });
}

describe("torch files without config", () => {
  test("Goodfire", async () => {
    const name = "Llama-3.1-8B-Instruct-SAE-l19.pth";
    const bytes = torchFile(linear("encoder_linear", "decoder_linear"));
    const sae = await open(made({ [name]: bytes }));
    expect(sae).toMatchObject({
      format: "Goodfire",
      badges: ["layout not checked against real weights"],
      config: { hook: "blocks.19.hook_resid_post", model: "meta-llama/Llama-3.1-8B-Instruct" },
    });
    await expectSae(sae, plain(matrix(x)));
  });

  test("an nn.Linear pair of unknown name asks for its hook", async () => {
    const folder = made({ "mine.pt": torchFile(linear("encoder", "decoder")) });
    await expect(loadSae(folder)).rejects.toMatchObject({ code: "sae-fact-missing" });
    await expectSae(await open(folder, { hook }), plain(matrix(x)));
  });

  test("OpenAI ReLU", async () => {
    const folder = made({ "8.pt": openAi({ activation: "ReLU" }) });
    const sae = await open(folder, { hook });
    expect(sae.badges).toEqual(["layout not checked against real weights"]);
    await expectSae(sae, plain(plus(matrix(x), negative(b_dec))));
  });

  test("OpenAI TopK normalises its input", async () => {
    const stats = matrix(x).map((row) => {
      const mean = row.reduce((total, v) => total + v, 0) / d_in;
      const std = Math.sqrt(row.reduce((total, v) => total + (v - mean) ** 2, 0) / (d_in - 1));
      return { mean, std };
    });
    const scaled = matrix(x).map((row, at) =>
      row.map((v) => (v - stats[at]!.mean) / (stats[at]!.std + 1e-5)),
    );
    const acts = topk(preActsOf(plus(scaled, negative(b_dec))), 4);
    const x_hat = decoded(acts).map((row, at) =>
      row.map((v) => v * stats[at]!.std + stats[at]!.mean),
    );
    const activation = { activation: "TopK", activation_state_dict: { k: 4, postact_fn: "ReLU" } };
    const sae = await open(made({ "8.pt": openAi(activation) }), { hook });
    expect(sae.config.k).toBe(4);
    await expectSae(sae, { acts, x_hat });
  });
});

test("Llama Scope's R1-distill has a threshold per latent", async () => {
  const log = filled([d_sae], 4.1);
  const factor = Math.sqrt(d_in) / 5;
  const folder = made({
    "config.json": {
      d_model: d_in,
      expansion_factor: d_sae / d_in,
      hook_point_in: hook,
      dataset_average_activation_norm: { in: 5 },
    },
    "sae_weights.safetensors": new Map<string, Tensor>([
      ["encoder.weight", asTensor(turned(W_enc))],
      ["encoder.bias", weights.b_enc],
      ["decoder.weight", asTensor(turned(matrix(weights.W_dec)))],
      ["decoder.bias", weights.b_dec],
      ["log_jumprelu_threshold", log],
    ]),
  });
  const preActs = preActsOf(each(matrix(x), (v) => v * factor));
  const acts = each(preActs, (v, at) => (v > Math.exp(log.data[at]!) ? v : 0));
  const sae = await open(folder);
  expect(sae.badges).toEqual(["layout not checked against real weights"]);
  await expectSae(sae, { acts, x_hat: each(decoded(acts), (v) => v / factor) });
});

describe("weights on disk", () => {
  test("the Hub's cache links to files outside its folder", async () => {
    const golden = goldenFolder("sae-lens/jumprelu/plain");
    const folder = made({ "nothing.txt": "" });
    for (const name of ["cfg.json", "sae_weights.safetensors"])
      symlinkSync(join(golden, name), join(folder, name));
    const sae = await open(folder);
    const wanted = readTensors(join(golden, "golden.safetensors"));
    const dense = await sae.encodeDense(rows(wanted, "x"));
    expectRows(dense, rows(wanted, "feature_acts"), 1e-5, "acts");
    await sae.release();
  });

  test.each([
    ["sae-lens/jumprelu/plain", "golden.safetensors", {}],
    ["dictionary-learning/topk_AutoEncoderTopK", "golden.safetensors", {}],
    ["dictionary-learning/standard_AutoEncoder", "golden.safetensors", {}],
    [
      "third-party/Llama3_1-8B-Base-LXR-8x/Llama3_1-8B-Base-L9R-8x",
      "../golden_folded.safetensors",
      {},
    ],
  ])("decoder rows of %s are what one unit of activation adds", async (folder) => {
    const sae = await open(goldenFolder(folder));
    const { d_out } = sae.config;
    const latents = [5, 0, 127];
    const found = sae.decoderRows(latents);
    const unit = await sae.decode({
      offsets: Int32Array.of(0, 0, 1, 2, 3),
      latents: Int32Array.from(latents),
      acts: Float32Array.of(1, 1, 1),
    });
    const wanted = Float32Array.from(
      found,
      (_, at) => unit.data[d_out + at]! - unit.data[at % d_out]!,
    );
    expectRows(
      tensor("float32", [3, d_out], found),
      tensor("float32", [3, d_out], wanted),
      1e-5,
      "rows",
    );
    await sae.release();
  });
});
