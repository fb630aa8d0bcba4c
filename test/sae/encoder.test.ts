/** How an SAE runs: rows in pieces, counts beyond the guessed k, cancelling, memory, graphs. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { print } from "../../server/graph/print.ts";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { buildDecoder } from "../../server/sae/decoder.ts";
import { buildEncoder } from "../../server/sae/graph-encoder.ts";
import { loadSae } from "../../server/sae/load.ts";
import { openSae, type Sae } from "../../server/sae/sae.ts";
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";
import { expectRows, goldenFolder, readTensors, rows } from "./golden-files.ts";
import { filled, made } from "./made-saes.ts";
import { asTensor, each, matrix, plus, product } from "./plain-maths.ts";
import { testDeviceName } from "../test-device.ts";

const folder = goldenFolder("sae-lens/jumprelu/plain");

let device: Device;
let sae: Sae;
let golden: Map<string, Tensor>;

beforeAll(async () => {
  ({ device } = await openDevice({ device: testDeviceName, threads: 1, memoryBudget: 2 ** 28 }));
  sae = await openSae(await loadSae(folder), device);
  golden = readTensors(`${folder}/golden.safetensors`);
});

afterAll(async () => {
  await sae.release();
  await device.close();
});

/** A golden tensor's rows, repeated. */
function many(key: string, repeats: number): Tensor<"float32"> {
  const { dims, data } = rows(golden, key);
  const all = new Float32Array(data.length * repeats);
  for (let n = 0; n < repeats; n++) all.set(data, n * data.length);
  return tensor("float32", [dims[0]! * repeats, dims[1]!], all);
}

describe("encoding", () => {
  test("more rows than one run takes", async () => {
    const x = many("x", 60);
    expect(x.dims[0]).toBeGreaterThan(2 * 512);
    expectRows(await sae.encodeDense(x), many("feature_acts", 60), 1e-5, "acts");
    const x_hat = await sae.decode(await sae.encode(x), x);
    expectRows(x_hat, many("recon", 60), 1e-5, "x_hat");
  });

  test("rows with more active latents than the guess run again, and the guess follows", async () => {
    const [d_in, d_sae] = [8, 1000];
    const parameters = {
      W_enc: filled([d_in, d_sae], 1.1),
      b_enc: tensor("float32", [d_sae], new Float32Array(d_sae).fill(-0.5)),
      W_dec: filled([d_sae, d_in], 1.7),
      b_dec: filled([d_in], 1.9),
    };
    const metadata = { sae_lens_version: "6.0.0", hook_name: "blocks.0.hook_resid_post" };
    const cfg = { architecture: "standard", d_in, d_sae, apply_b_dec_to_input: false, metadata };
    const fresh = await openSae(
      await loadSae(
        made({
          "cfg.json": cfg,
          "sae_weights.safetensors": new Map(Object.entries(parameters)),
        }),
      ),
      device,
    );
    // Small rows wake few latents, large ones several hundred: more than the first guess of 128.
    const x = filled([40, d_in], 2.3);
    for (let at = 0; at < x.data.length; at++) x.data[at]! *= at % (3 * d_in) < d_in ? 3 : 0.2;
    const wanted = each(
      plus(product(matrix(x), matrix(parameters.W_enc)), [...parameters.b_enc.data]),
      (v) => Math.max(v, 0),
    );
    const counts = wanted.map((row) => row.filter((v) => v > 0).length);
    expect(Math.max(...counts)).toBeGreaterThan(300);
    expect(Math.min(...counts)).toBeLessThan(100);
    for (let time = 0; time < 3; time++) {
      const { offsets } = await fresh.encode(x);
      expect(counts.map((_, row) => offsets[row + 1]! - offsets[row]!)).toEqual(counts);
      expectRows(await fresh.encodeDense(x), asTensor(wanted), 1e-5, `acts, time ${time}`);
    }
    await fresh.release();
  });

  test("no rows, and a row without active latents", async () => {
    const none = await sae.encode(tensor("float32", [0, 32], new Float32Array(0)));
    expect(none.offsets).toEqual(Int32Array.of(0));
    expect((await sae.decode(none)).dims).toEqual([0, 32]);
    const silent = {
      offsets: Int32Array.of(0, 0),
      latents: new Int32Array(),
      acts: new Float32Array(),
    };
    const b_dec = (await loadSae(folder)).parameters.get("b_dec")!.readFloat32();
    expect((await sae.decode(silent)).data).toEqual(b_dec);
  });

  test("heads are flattened", async () => {
    const heads = goldenFolder("sae-lens/legacy/v3_hook_z");
    const z = await openSae(await loadSae(heads), device);
    const wanted = readTensors(`${heads}/golden.safetensors`);
    const { dims, data } = rows(wanted, "x", 32);
    const x = tensor("float32", [dims[0]!, 4, 8], data);
    expectRows(await z.encodeDense(x), rows(wanted, "feature_acts"), 1e-5, "acts");
    await z.release();
  });

  test("input of another width or that is not finite", async () => {
    await expect(
      sae.encode(tensor("float32", [2, 31], new Float32Array(62))),
    ).rejects.toMatchObject({
      code: "wrong-sae-input",
      message:
        "the SAE reads vectors of width 32, but was given an array of shape [2, 31]: it belongs to another model or hook point",
    });
    const x = tensor("float32", [2, 32], new Float32Array(64).fill(1, 0, 40).fill(NaN, 40));
    await expect(sae.encode(x)).rejects.toMatchObject({ code: "sae-input-not-finite" });
  });

  test("stops between pieces when cancelled", async () => {
    const controller = new AbortController();
    const encoding = sae.encode(many("x", 200), controller.signal);
    setImmediate(() => controller.abort());
    await expect(encoding).rejects.toThrow(/abort/i);
  });
});

describe("memory", () => {
  test("is planned per session and given back", async () => {
    const { device: own } = await openDevice({
      device: testDeviceName,
      threads: 1,
      memoryBudget: 2 ** 28,
    });
    const first = await openSae(await loadSae(folder), own);
    const names = (): string[] => own.ledger.status().planned.map(({ what }) => what);
    expect(names()).toEqual([`SAE ${folder}: encoder`]);
    const twin = await openSae(await loadSae(folder), own);
    const x = rows(golden, "x");
    await twin.decode(await twin.encode(x), x);
    expect(names()).toEqual([
      `SAE ${folder}: encoder`,
      `SAE ${folder} (2): encoder`,
      `SAE ${folder} (2): decoder`,
    ]);
    await first.release();
    await twin.release();
    expect(names()).toEqual([]);
    await own.close();
  });

  test("an SAE that does not fit is refused before it is loaded", async () => {
    const { device: small } = await openDevice({
      device: testDeviceName,
      threads: 1,
      memoryBudget: 1000,
    });
    await expect(loadSae(folder).then((it) => openSae(it, small))).rejects.toMatchObject({
      code: "doesNotFit",
    });
    await small.close();
  });
});

async function parts(path: string): Promise<Parameters<typeof buildEncoder>[0]> {
  return { label: "sae", ...(await loadSae(goldenFolder(path))) };
}

describe("graphs", () => {
  test("JumpReLU encoder", async () => {
    expect(print(buildEncoder(await parts("sae-lens/jumprelu/plain")))).toMatchInlineSnapshot(`
      "sae: encoder(x: f32[tokens, 32], k: i64[1])
        b_dec: f32[32] = weight
        a: f32[tokens, 32] = sub x b_dec
        W_enc: f32[32, 128] = weight
        b_enc: f32[128] = weight
        b: f32[tokens, 128] = gemm a W_enc b_enc {transA: false, transB: false, alpha: 1, beta: 1}
        threshold: f32[128] = weight
        c: f32[128] = maximum threshold 0
        d: bool[tokens, 128] = greater b c
        e: f32[tokens, 128] = where d b 0
        f: f32[tokens, k], g: i64[tokens, k] = topk e k {k: k, axis: -1, largest: true, sorted: true}
        h: bool[tokens, 128] = greater e 0
        i: f32[tokens, 128] = cast h {dtype: float32}
        j: f32[tokens] = reduceSum i {axes: [1], keep: false}
        return acts = f
        return latents = g
        return count = j"
    `);
  });

  test("transposed weights are taken as they lie", async () => {
    const it = await parts("dictionary-learning/topk_AutoEncoderTopK");
    expect(print(buildEncoder(it))).toMatchInlineSnapshot(`
      "sae: encoder(x: f32[tokens, 32])
        b_dec: f32[32] = weight
        a: f32[tokens, 32] = sub x b_dec
        W_enc: f32[128, 32] = weight
        b_enc: f32[128] = weight
        b: f32[tokens, 128] = gemm a W_enc b_enc {transA: false, transB: true, alpha: 1, beta: 1}
        c: f32[tokens, 12], d: i64[tokens, 12] = topk b [12] {k: 12, axis: -1, largest: true, sorted: true}
        e: f32[tokens, 12] = relu c
        return acts = e
        return latents = d"
    `);
    expect(print(buildDecoder(it, false))).toMatchInlineSnapshot(`
      "sae: decoder(coefficients: f32[tokens, used], used: i32[used])
        W_dec: f32[32, 128] = weight
        a: f32[128, 32] = transpose W_dec {perm: [1, 0]}
        b: f32[used, 32] = gather a used {axis: 0}
        c: f32[tokens, 32] = matmul coefficients b
        b_dec: f32[32] = weight
        d: f32[tokens, 32] = add c b_dec
        return x_hat = d"
    `);
  });

  test("a decoder that undoes layer normalisation", async () => {
    expect(print(buildDecoder(await parts("sae-lens/standard/layer_norm"), true)))
      .toMatchInlineSnapshot(`
      "sae: decoder(coefficients: f32[tokens, used], used: i32[used], x: f32[tokens, 32])
        W_dec: f32[128, 32] = weight
        a: f32[used, 32] = gather W_dec used {axis: 0}
        b: f32[tokens, 32] = matmul coefficients a
        b_dec: f32[32] = weight
        c: f32[tokens, 32] = add b b_dec
        d: f32[tokens, 1] = reduceMean x {axes: [1], keep: true}
        e: f32[tokens, 32] = sub x d
        f: f32[tokens, 32] = mul e e
        g: f32[tokens, 1] = reduceSum f {axes: [1], keep: true}
        h: f32[tokens, 1] = mul g 0.032258063554763794
        i: f32[tokens, 1] = sqrt h
        j: f32[tokens, 32] = mul c i
        k: f32[tokens, 32] = add j d
        return x_hat = k"
    `);
  });
});
