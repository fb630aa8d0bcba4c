/** Models that cannot be loaded or run: each refusal names the file, what was found and what was expected. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { UserError } from "../../server/base/errors.ts";
import { readSafetensors, writeSafetensors } from "../../server/encoding/safetensors.ts";
import { loadLm } from "../../server/lm/load.ts";
import { Stream } from "../../server/lm/stream.ts";
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";
import { repoRoot } from "../parts.ts";
import { testDevice } from "./closeness.ts";

const root = mkdtempSync(join(tmpdir(), "latent-workbench-bad-"));
const device = testDevice();
let count = 0;

afterAll(async () => {
  await device.close();
  rmSync(root, { recursive: true });
});

/** A copy of the tiny Llama with other tensors or config. */
function changed(
  tensors: (all: Map<string, Tensor>) => void,
  config: (json: Record<string, unknown>) => void = () => {},
): string {
  const folder = join(root, `model${count++}`);
  cpSync(join(repoRoot, "test/golden/tiny-lms/llama"), folder, { recursive: true });
  const file = join(folder, "model.safetensors");
  const all = readSafetensors(new Uint8Array(readFileSync(file)));
  tensors(all);
  writeFileSync(file, writeSafetensors(all));
  const configFile = join(folder, "config.json");
  const json = JSON.parse(readFileSync(configFile, "utf8")) as Record<string, unknown>;
  config(json);
  writeFileSync(configFile, JSON.stringify(json));
  return folder;
}

async function refusal(action: Promise<unknown>): Promise<UserError> {
  const error = await action.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(UserError);
  return error as UserError;
}

const up = "model.layers.1.mlp.up_proj.weight";

test("a missing tensor", async () => {
  const folder = changed((all) => all.delete(up));
  const { message } = await refusal(loadLm(folder, device));
  expect(message).toContain(folder);
  expect(message).toContain(`no tensor "${up}"`);
});

test("a tensor of another shape", async () => {
  const folder = changed((all) => {
    all.set(up, tensor("float32", [95, 32], new Float32Array(95 * 32)));
  });
  const { code, message } = await refusal(loadLm(folder, device));
  expect(code).toBe("wrong-weight-shape");
  expect(message).toBe(
    `${folder}/model.safetensors: ${up} is [95, 32], expected [96, 32] by the model's config`,
  );
});

test("an embedding of another vocabulary", async () => {
  const folder = changed(
    () => {},
    (json) => (json["vocab_size"] = 100),
  );
  const { message } = await refusal(loadLm(folder, device));
  expect(message).toContain("model.embed_tokens.weight is [101, 32], expected [100, 32]");
});

test("NaN in a norm is found when the block is loaded", async () => {
  const name = "model.layers.2.input_layernorm.weight";
  const folder = changed((all) => (all.get(name)!.data[7] = Number.NaN));
  const lm = await loadLm(folder, device);
  const stream = new Stream(lm);
  stream.setIds(Int32Array.of(5, 6));
  await stream.read([{ kind: "resid_post", layer: 1 }]);
  const { code, message } = await refusal(stream.logits());
  expect(code).toBe("non-finite-weight");
  expect(message).toContain(`${folder}/model.safetensors: ${name} has NaN at element 7`);
  await lm.release();
});

test("NaN in a matrix is found by the block's first run, and the first layer with it is named", async () => {
  const folder = changed((all) => (all.get(up)!.data[40] = Infinity));
  const lm = await loadLm(folder, device);
  const stream = new Stream(lm);
  stream.setIds(Int32Array.of(5, 6));
  const { code, message } = await refusal(stream.logits());
  expect(code).toBe("non-finite-weight");
  expect(message).toContain(`${up} has Infinity at element 40`);
  await lm.release();
});

test("NaN in an embedding row is found when the token is read", async () => {
  const name = "model.embed_tokens.weight";
  const folder = changed((all) => (all.get(name)!.data[6 * 32] = Number.NaN));
  const lm = await loadLm(folder, device);
  const stream = new Stream(lm);
  stream.setIds(Int32Array.of(5));
  await stream.read([{ kind: "embed" }]);
  stream.setIds(Int32Array.of(5, 6));
  const { message } = await refusal(stream.read([{ kind: "resid_post", layer: 0 }]));
  expect(message).toContain(`${name} has NaN at element 192`);
  await lm.release();
});

test("activations that overflow although the weights are finite", async () => {
  const folder = changed((all) => (all.get(up)!.data as Float32Array).fill(3e38));
  const lm = await loadLm(folder, device);
  const stream = new Stream(lm);
  stream.setIds(Int32Array.of(5, 6));
  const { code, message } = await refusal(stream.logits());
  expect(code).toBe("non-finite-output");
  expect(message).toContain("layer 1 of");
  await lm.release();
});

test("a model that does not fit is refused with the table, before anything is loaded", async () => {
  const folder = join(repoRoot, "test/golden/tiny-lms/llama");
  const { message } = await refusal(loadLm(folder, testDevice(100_000)));
  expect(message).toContain("llama: blocks");
  expect(message).toContain("llama: unembedding");
  expect(message).toContain("llama: keys and values of 64 tokens");
  expect(message).toContain("llama: activations of 64 tokens");
  const shallow = await loadLm(folder, testDevice(2 ** 20), { deepestLayer: 0 });
  await shallow.release();
});

test("unknown families, broken configs, other paths", async () => {
  const config = (key: string, value: unknown) =>
    refusal(
      loadLm(
        changed(
          () => {},
          (json) => (json[key] = value),
        ),
        device,
      ),
    );
  expect((await config("model_type", "mamba")).message).toMatch(
    /config\.json: model type "mamba" is not supported; supported are gemma2, .*llama/,
  );
  expect((await config("num_hidden_layers", "three")).message).toMatch(
    /config\.json: num_hidden_layers is "three", expected a number$/,
  );
  expect((await config("hidden_act", "quick_gelu")).message).toContain(
    'hidden_act is "quick_gelu", expected one of silu',
  );
  expect((await config("rope_parameters", { rope_type: "yarn" })).message).toContain(
    'rope_parameters.rope_type is "yarn", expected default, linear or llama3',
  );
  expect((await refusal(loadLm(join(root, "nowhere"), device))).message).toContain(
    "nothing is there; a language model is a folder with config.json",
  );
  expect((await refusal(loadLm(root, device))).message).toContain("there is no config.json");
  const file = join(repoRoot, "package.json");
  expect((await refusal(loadLm(file, device))).message).toContain("this is another kind of file");
});

test("text needs a tokenizer, ids do not", async () => {
  const lm = await loadLm(join(repoRoot, "test/golden/tiny-lms/llama"), device);
  expect(() => lm.tokenizer).toThrow("no tokenizer.json");
  expect(lm.info.notes).toEqual(["no tokenizer: token ids only"]);
  await lm.release();
});
