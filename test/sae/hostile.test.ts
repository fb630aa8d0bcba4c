/** SAEs that are damaged, incomplete or contradict themselves: each is refused with words that say what to do. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { UserError } from "../../server/base/errors.ts";
import { loadSae } from "../../server/sae/load.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { changeJson, changeTensors, copyOf, filled, made } from "./made-saes.ts";
import { storedZip } from "./torch-file.ts";

type FactValue = string | number | boolean;

/** The error of loading, which must be the user's. */
async function refusal(
  path: string,
  facts: Record<string, FactValue> = {},
): Promise<{ code: string; text: string }> {
  const error: unknown = await loadSae(path, { facts }).then(
    () => "it loaded",
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(UserError);
  const { code, message } = error as UserError;
  return { code, text: message.replaceAll(path, "SAE") };
}

const weightsOf = (folder: string): string => join(folder, "sae_weights.safetensors");
const configOf = (folder: string): string => join(folder, "cfg.json");

describe("refused SAEs", () => {
  test("weights cut off", async () => {
    const folder = copyOf("sae-lens/standard/plain");
    const bytes = readFileSync(weightsOf(folder));
    writeFileSync(weightsOf(folder), bytes.subarray(0, bytes.length - 1000));
    const { code, text } = await refusal(folder);
    expect(code).toBe("bad-safetensors");
    expect(text).toMatch(/^SAE\/sae_weights.safetensors: .*cut off/);
  });

  test("a pickle where pickles are not read", async () => {
    const path = copyOf("dictionary-learning/topk_AutoEncoderTopK");
    await loadSae(path, { pickles: true });
    await expect(loadSae(path, { pickles: false })).rejects.toMatchObject({
      code: "pickle-not-read",
      message: expect.stringMatching(/ae\.pt is a Python pickle, which is not read in a workspace/),
    });
    await loadSae(copyOf("sae-lens/standard/plain"), { pickles: false });
  });

  test("a torch file cut off", async () => {
    const folder = copyOf("dictionary-learning/topk_AutoEncoderTopK");
    const path = join(folder, "ae.pt");
    writeFileSync(path, readFileSync(path).subarray(0, 5000));
    expect((await refusal(folder)).text).toMatch(/^SAE\/ae.pt: /);
  });

  test.each([
    ["W_enc", NaN, 7],
    ["W_dec", Infinity, 4000],
    ["threshold", NaN, 3],
  ])("%s holds %s", async (key, value, at) => {
    const folder = copyOf("sae-lens/jumprelu/plain");
    changeTensors(weightsOf(folder), (tensors) => {
      (tensors.get(key)!.data as Float32Array)[at] = value;
    });
    expect(await refusal(folder)).toEqual({
      code: "sae-not-finite",
      text: `SAE/sae_weights.safetensors: tensor "${key}" holds ${value} at element ${at}: the training run diverged or the file is damaged; use an earlier checkpoint`,
    });
  });

  test("d_in of another SAE", async () => {
    const folder = copyOf("sae-lens/standard/plain");
    changeJson(configOf(folder), (cfg) => (cfg["d_in"] = 64));
    expect(await refusal(folder)).toEqual({
      code: "wrong-sae-shape",
      text: 'SAE/sae_weights.safetensors: tensor "W_enc" has shape [32, 128], expected [64, 128] from the other sizes of this SAE: config and weights belong to different SAEs, or the layout is another one',
    });
  });

  test("a matrix in the other orientation is not turned", async () => {
    const folder = copyOf("sae-lens/standard/plain");
    changeTensors(weightsOf(folder), (tensors) => tensors.set("W_dec", filled([32, 128])));
    expect((await refusal(folder)).text).toMatch(
      /"W_dec" has shape \[32, 128\], expected \[128, 32\]/,
    );
  });

  test("an unknown architecture is not read as ReLU", async () => {
    const folder = copyOf("sae-lens/standard/plain");
    changeJson(configOf(folder), (cfg) => (cfg["architecture"] = "hyperbolic"));
    const { code, text } = await refusal(folder);
    expect(code).toBe("unknown-sae-architecture");
    expect(text).toMatch(/^SAE\/cfg.json: "architecture" is "hyperbolic"; readable are standard, /);
  });

  test("an unknown activation of version 3", async () => {
    const folder = copyOf("sae-lens/legacy/v2_hook_point");
    changeJson(configOf(folder), (cfg) => (cfg["activation_fn_str"] = "tanh-relu"));
    const { code, text } = await refusal(folder);
    expect(code).toBe("unsupported-sae-setting");
    expect(text).toMatch(/"activation_fn_str" is "tanh-relu"/);
  });

  test("a missing tensor", async () => {
    const folder = copyOf("sae-lens/gated/plain");
    changeTensors(weightsOf(folder), (tensors) => tensors.delete("r_mag"));
    expect(await refusal(folder)).toEqual({
      code: "missing-sae-tensor",
      text: 'SAE/sae_weights.safetensors has no tensor "r_mag", which the architecture gated needs; it has W_dec, W_enc, b_dec, b_gate, b_mag: the file is incomplete or of another architecture',
    });
  });

  test.each([
    ["d_sae", undefined, '"d_sae" is missing; expected a whole number above 0'],
    ["d_in", "32", '"d_in" is "32"; expected a whole number above 0'],
    ["metadata", [1], '"metadata" is [1]; expected an object'],
  ])("config value %s is %j", async (key, value, text) => {
    const folder = copyOf("sae-lens/standard/plain");
    changeJson(configOf(folder), (cfg) => (cfg[key] = value));
    expect(await refusal(folder)).toEqual({
      code: "bad-sae-config",
      text: `SAE/cfg.json: ${text}`,
    });
  });

  test("a transcoder that subtracts its output's bias from the input", async () => {
    const folder = copyOf("sae-lens/transcoder/plain");
    changeJson(configOf(folder), (cfg) => (cfg["apply_b_dec_to_input"] = true));
    expect((await refusal(folder)).code).toBe("unsupported-sae-setting");
  });

  test("a normalisation that is not folded", async () => {
    const folder = copyOf("sae-lens/standard/plain");
    changeJson(configOf(folder), (cfg) => (cfg["normalize_activations"] = "covariance_whitening"));
    expect((await refusal(folder)).text).toMatch(/covariance_whitening.*folded when SAELens saves/);
  });

  test("a scaling_factor that nothing says to use", async () => {
    const folder = copyOf("sae-lens/legacy/v3_scaling_factor_ones");
    changeTensors(weightsOf(folder), (tensors) => tensors.set("scaling_factor", filled([128])));
    expect((await refusal(folder)).code).toBe("unsupported-sae-setting");
  });

  test("BatchTopK before its threshold was learned", async () => {
    const folder = copyOf("dictionary-learning/batchtopk_BatchTopKSAE");
    changeTensors(join(folder, "ae.safetensors"), (tensors) =>
      tensors.set("threshold", tensor("float32", [], Float32Array.of(-1))),
    );
    expect((await refusal(join(folder, "ae.safetensors"))).code).toBe("sae-threshold-not-learned");
  });

  test("a dictionary class that we do not know", async () => {
    const folder = copyOf("dictionary-learning/standard_AutoEncoder");
    changeJson(join(folder, "config.json"), (config) => {
      (config["trainer"] as Record<string, unknown>)["dict_class"] = "CrossCoder";
    });
    expect((await refusal(folder)).text).toMatch(
      /"trainer.dict_class" is "CrossCoder"; readable are AutoEncoder, AutoEncoderNew, /,
    );
  });

  test("more outputs than inputs without being a transcoder", async () => {
    const folder = copyOf("sae-bench/relu");
    changeTensors(join(folder, "state_dict.safetensors"), (tensors) => {
      tensors.set("W_dec", filled([128, 40]));
      tensors.set("b_dec", filled([40]));
    });
    expect((await refusal(folder)).text).toMatch(
      /"W_dec" has shape \[128, 40\], expected \[128, 32\]/,
    );
  });

  test("a transcoder whose output is not named", async () => {
    const { code, text } = await refusal(copyOf("sae-lens/skip_transcoder/plain"));
    expect(code).toBe("sae-fact-missing");
    expect(text).toMatch(/hookOut \(the hook point a transcoder predicts\)/);
  });

  test("groupmax", async () => {
    const folder = copyOf("third-party/eai-sparsify/layers.10");
    changeJson(configOf(folder), (cfg) => (cfg["activation"] = "groupmax"));
    expect((await refusal(folder)).text).toMatch(/"activation" is "groupmax"/);
  });

  test("a pickle that would run code is refused and named", async () => {
    const pickle = "\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.";
    const folder = made({
      "ae.pt": storedZip([{ name: "ae/data.pkl", data: Buffer.from(pickle, "latin1") }]),
    });
    const { code, text } = await refusal(folder);
    expect(code).toBe("refused-pickle");
    expect(text).toMatch(/os.system/);
  });

  test("a folder with something else", async () => {
    const folder = made({ "notes.txt": "hello", "model.bin": "x" });
    const { code, text } = await refusal(folder);
    expect(code).toBe("unknown-sae-format");
    expect(text).toMatch(
      /^SAE holds no SAE that can be read: found model.bin, notes.txt; expected/,
    );
  });

  test("a weight file of an unknown layout shows its tensors", async () => {
    const folder = made({ "layer.safetensors": new Map([["foo", filled([2])]]) });
    expect((await refusal(join(folder, "layer.safetensors"))).text).toMatch(/found tensor foo/);
  });

  test("nothing there", async () => {
    expect((await refusal("/nowhere/sae")).code).toBe("file-not-found");
  });
});

describe("facts", () => {
  test("are asked for by key, all at once", async () => {
    const source = copyOf("third-party/SAE-Res-Qwen3-1.7B-Base-W32K-L0_50");
    const folder = made({ "layer9.sae.pt": readFileSync(join(source, "layer9.sae.pt")) });
    expect(await refusal(folder)).toEqual({
      code: "sae-fact-missing",
      text: 'SAE: the Qwen Scope format does not say k (active latents per token); give it as a fact of this SAE, for example "facts": {"k":50} beside its path in latents.jsonc',
    });
    const { config } = await loadSae(folder, { facts: { k: 7, model: "Qwen/Qwen3-1.7B-Base" } });
    expect(config).toMatchObject({ k: 7, hook: "blocks.9.hook_resid_post" });
  });

  test("a checkpoint without config asks for its hook", async () => {
    const folder = copyOf("dictionary-learning/standard_AutoEncoderNew");
    const { code, text } = await refusal(folder);
    expect(code).toBe("sae-fact-missing");
    expect(text).toMatch(/does not say hook \(the hook point it reads\)/);
  });

  test.each([
    [{ kk: 3 }, "unknown-sae-fact"],
    [{ k: "3" }, "bad-sae-fact"],
    [{ k: 1.5 }, "bad-sae-fact"],
    [{ prependBos: "yes" }, "bad-sae-fact"],
  ])("%j is refused", async (facts, code) => {
    const folder = copyOf("sae-lens/topk/plain");
    expect((await refusal(folder, facts as Record<string, FactValue>)).code).toBe(code);
  });

  test("override what the files say", async () => {
    const { config } = await loadSae(copyOf("sae-lens/topk/plain"), {
      facts: { k: 3, hook: "blocks.1.hook_resid_pre", prependBos: true },
    });
    expect(config).toMatchObject({ k: 3, hook: "blocks.1.hook_resid_pre", prependBos: true });
  });
});
