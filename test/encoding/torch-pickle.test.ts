import { readFileSync } from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";
import { expect, test } from "vitest";
import { readSafetensors } from "../../server/encoding/safetensors.ts";
import { readTorchPickle } from "../../server/encoding/torch-pickle.ts";
import type { TorchValue } from "../../server/encoding/torch-pickle.ts";
import type { Tensor } from "../../server/tensor/tensor.ts";
import { repoRoot } from "../parts.ts";
import { refusal } from "../files/scratch.ts";

const formats = join(repoRoot, "test/golden/sae-formats");

function load(path: string): Record<string, Tensor & { at?: number }> {
  return readTorchPickle(new Uint8Array(readFileSync(join(formats, path)))) as never;
}

test("a checkpoint of torch.save reads, strides included: its ReLU SAE gives the golden activations", () => {
  const folder = "dictionary-learning/standard_AutoEncoder";
  const ae = load(`${folder}/ae.pt`);
  const golden = readSafetensors(
    new Uint8Array(readFileSync(join(formats, folder, "golden.safetensors"))),
  );
  const [d_sae = 0, d_in = 0] = ae["encoder.weight"]!.dims;
  const number = (name: string, i: number) => Number(ae[name]!.data[i]);
  const x = golden.get("x")!.data as Float32Array;
  const expected = golden.get("feature_acts")!.data as Float32Array;
  let worst = 0;
  for (let row = 0; row < x.length / d_in; row++) {
    for (let latent = 0; latent < d_sae; latent++) {
      let preAct = number("encoder.bias", latent);
      for (let i = 0; i < d_in; i++) {
        preAct +=
          (x[row * d_in + i]! - number("bias", i)) * number("encoder.weight", latent * d_in + i);
      }
      const difference = Math.max(0, preAct) - expected[row * d_sae + latent]!;
      worst = Math.max(worst, Math.abs(difference));
    }
  }
  expect(worst).toBeLessThan(2e-6);
});

test("values beside tensors read, in the file's own types and order", () => {
  const ae = load("dictionary-learning/matryoshka_MatryoshkaBatchTopKSAE/ae.pt");
  expect(Object.keys(ae)).toEqual([
    "W_enc",
    "b_enc",
    "W_dec",
    "b_dec",
    "k",
    "threshold",
    "group_sizes",
  ]);
  expect(ae["k"]).toMatchObject({ dtype: "int32", dims: [], data: Int32Array.of(12) });
  expect(ae["group_sizes"]).toMatchObject({
    dtype: "int64",
    data: BigInt64Array.of(16n, 32n, 80n),
  });
});

test("dense tensors say where they lie in the file", () => {
  const path = "third-party/SAE-Res-Qwen3-1.7B-Base-W32K-L0_50";
  const file = new Uint8Array(readFileSync(join(formats, path, "layer9.sae.pt")));
  const { W_dec } = load(`${path}/layer9.sae.pt`);
  const raw = file.slice(W_dec!.at, W_dec!.at! + W_dec!.data.byteLength);
  expect(new Float32Array(raw.buffer)).toEqual(W_dec!.data);
  const theirs = readSafetensors(
    new Uint8Array(readFileSync(join(formats, path, "saelens_state_dict.safetensors"))),
  );
  const [d_in = 0, d_sae = 0] = W_dec!.dims;
  const transposed = Float32Array.from({ length: d_in * d_sae }, (_, i) =>
    Number(W_dec!.data[(i % d_in) * d_sae + Math.floor(i / d_in)]),
  );
  expect(theirs.get("W_dec")!.data).toEqual(transposed);
});

// Opcodes of Python's pickletools, as functions that return bytes.
const text = (value: string) => [0x58, ...u32(value.length), ...ascii(value)];
const number = (value: number) => [0x4a, ...u32(value)];
const global = (name: string) => [0x63, ...ascii(name.replace(/\.(\w+)$/, "\n$1")), 0x0a];
const tuple = (...items: number[][]) => [0x28, ...items.flat(), 0x74];
const list = (...items: number[][]) => [0x5d, 0x28, ...items.flat(), 0x65];
const dict = (...items: number[][]) => [0x7d, 0x28, ...items.flat(), 0x75];
const call = (name: string, ...args: number[][]) => [...global(name), ...tuple(...args), 0x52];
const none = [0x4e];
const no = [0x89];
const storage = (type: string, key: string, length: number) => [
  ...tuple(text("storage"), global(type), text(key), text("cpu"), number(length)),
  0x51,
];
const view = (from: number[], offset: number, dims: number[], strides: number[]) =>
  call(
    "torch._utils._rebuild_tensor_v2",
    from,
    number(offset),
    tuple(...dims.map(number)),
    tuple(...strides.map(number)),
    no,
    call("collections.OrderedDict"),
  );
const numbers = Float32Array.of(0, 1, 2, 3, 4, 5);
const six = storage("torch.FloatStorage", "0", 6);

test.each<[string, number[], unknown]>([
  ["rows", view(six, 0, [2, 3], [3, 1]), { dims: [2, 3], data: numbers }],
  [
    "a transpose",
    view(six, 0, [3, 2], [1, 3]),
    { dims: [3, 2], data: Float32Array.of(0, 3, 1, 4, 2, 5) },
  ],
  ["a slice", view(six, 2, [2], [2]), { dims: [2], data: Float32Array.of(2, 4) }],
  ["a broadcast", view(six, 5, [3, 1], [0, 9]), { dims: [3, 1], data: Float32Array.of(5, 5, 5) }],
  ["a scalar", view(six, 4, [], []), { dims: [], data: Float32Array.of(4) }],
  ["nothing", view(six, 6, [0, 4], [4, 1]), { dims: [0, 4], data: new Float32Array(0) }],
  [
    "a parameter on a GPU",
    call(
      "torch._utils._rebuild_parameter",
      view(storage("torch.cuda.HalfStorage", "0", 12), 0, [1], [1]),
      no,
      none,
    ),
    { dtype: "float16", dims: [1] },
  ],
  ["a dict by pairs", call("collections.OrderedDict", list(tuple(text("a"), number(1)))), { a: 1 }],
  [
    "a dtype and a size",
    list(global("torch.bfloat16"), call("torch.Size", tuple(number(7)))),
    ["torch.bfloat16", [7]],
  ],
  ["a device", call("torch.device", text("cuda"), number(0)), "cuda:0"],
  ["a long integer", [0x8a, 9, ...Array.from({ length: 8 }, () => 0), 1], 2n ** 64n],
  ["a negative one", [0x8a, 2, 0x00, 0xff], -256],
  ["a float", [0x47, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], 1.5],
  ["a set", [0x8f, 0x28, ...number(1), 0x90], [1]],
  [
    "numbers as keys",
    dict(number(3), text("x"), text("__proto__"), none),
    Object.fromEntries([
      ["3", "x"],
      ["__proto__", null],
    ]),
  ],
  ["attributes of a dict, dropped", [...dict(), ...dict(text("_metadata"), none), 0x62], {}],
  ["memos", [...text("a"), 0x71, 0, 0x30, ...list([0x68, 0], [0x68, 0])], ["a", "a"]],
])("a pickle with %s reads", (_, pickle, expected) => {
  const value = read(pickle);
  if (isTensor(value)) expect(value).toMatchObject(expected as object);
  else expect(value).toEqual(expected);
});

test.each<[string, number[]]>([
  ["os.system", call("os.system", text("echo hacked"))],
  ["builtins.eval", call("builtins.eval", text("1"))],
  ["posix.system", [...text("posix"), ...text("system"), 0x93, ...tuple(text("id")), 0x52]],
  ["torch.hub.load", global("torch.hub.load")],
  ["torch.load", global("torch.load")],
  ["torch._utils._rebuild_tensor_v3", global("torch._utils._rebuild_tensor_v3")],
  ["numpy.core.multiarray.scalar", global("numpy.core.multiarray.scalar")],
  ["torch.nn.modules.linear.Linear", global("torch.nn.modules.linear.Linear")],
  ["torch.evil.FloatStorage", global("torch.evil.FloatStorage")],
  ["builtins.constructor", global("builtins.constructor")],
  ["collections.OrderedDict.fromkeys", global("collections.OrderedDict.fromkeys")],
])("a pickle that asks for %s is refused by name", (name, pickle) => {
  const error = refusal(() => read(pickle));
  expect(error.code).toBe("refused-pickle");
  expect(error.message).toContain(`the Python object "${name}"`);
  expect(error.message).toContain("nothing was run");
});

test.each<[string, number[], string]>([
  ["INST", [0x28, 0x69, ...ascii("os\nsystem\n")], "uses opcode 0x69"],
  ["OBJ", [0x28, ...global("collections.OrderedDict"), 0x6f], "uses opcode 0x6f"],
  ["NEWOBJ", [...global("collections.OrderedDict"), ...tuple(), 0x81], "uses opcode 0x81"],
  ["EXT1", [0x82, 1], "uses opcode 0x82"],
  ["PERSID", [0x50, ...ascii("x\n")], "uses opcode 0x50"],
  ["a call of text", [...text("eval"), ...tuple(), 0x52], "calls something that is no function"],
  ["a call of a dtype", call("torch.float32"), "calls something that is no function"],
  [
    "attributes of a tensor",
    [...view(six, 0, [1], [1]), ...dict(), 0x62],
    "sets attributes of no dict",
  ],
  [
    "items of a tensor",
    [...view(six, 0, [1], [1]), ...text("a"), ...none, 0x73],
    "sets items of no dict",
  ],
  ["appending to a tuple", [...tuple(), ...none, 0x61], "appends to no list"],
  ["a tensor before its storage", view(six, -1, [1], [1]), "no storage, offset, size or stride"],
  [
    "a tensor after its storage",
    view(six, 1, [2, 3], [3, 1]),
    "ends after its storage of 6 elements",
  ],
  ["a negative stride", view(six, 5, [2], [-1]), "no storage, offset, size or stride"],
  ["a stride too few", view(six, 0, [2, 3], [1]), "a tensor of size [2, 3] and stride [1]"],
  ["a tensor of a fake storage", view(dict(text("data"), none), 0, [1], [1]), "no storage, offset"],
  [
    "a storage that is too short",
    view(storage("torch.FloatStorage", "0", 7), 0, [1], [1]),
    "needs 28 bytes, found 24",
  ],
  [
    "a storage out of the archive",
    storage("torch.FloatStorage", "../../etc/passwd", 1),
    'no member "x/data/../../etc/passwd"',
  ],
  ["an empty stack", [0x30], "takes too much"],
  ["taking beyond a mark", [...none, 0x28, 0x30], "takes too much"],
  ["a mark that is not there", [0x74], "lacks a mark"],
  ["a memo that is not there", [0x68, 9], "recalls memo 9"],
  ["a function as value", global("collections.OrderedDict"), "holds a function or type"],
  ["a list in itself", [0x5d, 0x71, 0, 0x68, 0, 0x61], "nests without end"],
  // Fifty lists, each holding the one before twice: 2^50 nodes in 350 bytes.
  [
    "doubling lists",
    [
      ...list(),
      ...Array.from({ length: 50 }, () => [
        0x71, 0, 0x30, 0x5d, 0x28, 0x68, 0, 0x68, 0, 0x65,
      ]).flat(),
    ],
    "nests without end",
  ],
  ["text longer than the pickle", [0x58, ...u32(2 ** 31)], "breaks off"],
  ["no end", [], "breaks off"],
])("a malformed pickle is refused: %s", (name, pickle, words) => {
  const error = refusal(() =>
    readTorchPickle(archive(name === "no end" ? [0x80, 2] : [...pickle, 0x2e])),
  );
  expect(error.code === "bad-torch-file" || error.code === "bad-zip").toBe(true);
  expect(error.message).toContain(words);
});

test("a broadcast to terabytes is refused", () => {
  const error = refusal(() => read(view(six, 0, [2 ** 20, 2 ** 20], [0, 0])));
  expect(error.code).toBe("archive-too-large");
});

test("a complex storage is refused by its type", () => {
  const error = refusal(() => read(storage("torch.ComplexFloatStorage", "0", 1)));
  expect(error.message).toContain(
    "has element type torch.ComplexFloatStorage; readable are Double,",
  );
});

test("other files are refused with what they are", () => {
  expect(words(Uint8Array.of(0x80, 2, 0x8a))).toContain("it is no zip archive");
  expect(words(zipSync({ "x/y": new Uint8Array(1) }))).toContain("has 0 members data.pkl");
  expect(words(archive([0x4e, 0x2e], "big"))).toContain("its numbers are big-endian");
});

test("any byte of a pickle changed gives a value or a user's error", () => {
  const pickle = [0x80, 2, ...dict(text("w"), view(six, 0, [2, 3], [3, 1])), 0x2e];
  for (let at = 0; at < pickle.length; at++) {
    for (const value of [0x00, 0xff, pickle[at]! ^ 1, 0x52, 0x62]) {
      try {
        readTorchPickle(archive(pickle.with(at, value)));
      } catch (error) {
        expect(error).toMatchObject({ name: "UserError" });
      }
    }
  }
});

function read(pickle: number[]): TorchValue {
  return readTorchPickle(archive([0x80, 2, ...pickle, 0x2e]));
}

/** A checkpoint with one storage of six float32. */
function archive(pickle: number[], byteorder = "little"): Uint8Array {
  const members = {
    "x/data.pkl": Uint8Array.from(pickle),
    "x/byteorder": Uint8Array.from(ascii(byteorder)),
    "x/data/0": new Uint8Array(numbers.buffer),
  };
  return zipSync(members, { level: 0 });
}

/** What the refusal of a file says. */
function words(bytes: Uint8Array): string {
  return refusal(() => readTorchPickle(bytes)).message;
}

function isTensor(value: TorchValue): value is Tensor {
  return typeof value === "object" && value !== null && "dims" in value;
}

function ascii(value: string): number[] {
  return [...new TextEncoder().encode(value)];
}

function u32(value: number): number[] {
  return [...new Uint8Array(Int32Array.of(value).buffer)];
}
