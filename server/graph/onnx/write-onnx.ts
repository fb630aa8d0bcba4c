/**
 * Spells a graph as an ONNX model: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (field numbers below).
 */
import { assert } from "../../base/errors.ts";
import type { DType, StoredTensor, Tensor } from "../../tensor/tensor.ts";
import { type Graph, neededNodes, type Node, type Value } from "../graph.ts";
import type { OnnxAttribute } from "../op.ts";
import { onnxDType } from "./dtype.ts";
import { commonFolder } from "./external-folder.ts";
import { Message } from "./protobuf.ts";

/** A model's bytes, and the folder below which its external weights lie, if it has any. */
export interface OnnxModel {
  readonly bytes: Uint8Array;
  readonly externalFolder?: string;
}

/** Operator set 21 has every op we use (Gelu came with 20), and ONNX Runtime 1.30's CPU and WebGPU providers run it. */
const opset = 21;
/** The model format that goes with operator set 21. */
const irVersion = 10;
/** Protobuf messages end here; larger weights belong into files. */
const largestModel = 2 ** 31 - 1;

/** Writes the part of a graph that its outputs need. Stored weights become external data by offset. */
export function writeOnnx(graph: Graph): OnnxModel {
  const writer = new GraphWriter(graph);
  const body = writer.write();
  const model = new Message()
    .int(1, irVersion)
    .string(2, "latent-workbench")
    .message(7, body)
    .message(8, new Message().string(1, "").int(2, opset))
    .message(8, new Message().string(1, "com.microsoft").int(2, 1));
  assert(model.length < largestModel, `graph ${graph.name} holds ${model.length} bytes of weights`);
  const { externalFolder } = writer;
  return { bytes: model.finish(), ...(externalFolder === undefined ? {} : { externalFolder }) };
}

/** Writes one GraphProto. */
class GraphWriter {
  readonly externalFolder: string | undefined;
  readonly #graph: Graph;
  readonly #nodes: readonly Node[];
  readonly #initialisers = new Map<string, Message>();
  readonly #names = new Map<Value, string>();

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#nodes = neededNodes(graph);
    const files: string[] = [];
    for (const node of this.#nodes) {
      for (const input of node.inputs) {
        if (input?.origin.kind === "weight" && "file" in input.origin.source) {
          files.push(input.origin.source.file);
        }
      }
    }
    this.externalFolder = commonFolder(files);
  }

  write(): Message {
    const graph = this.#graph;
    const body = new Message();
    const copies: [string, Value][] = [];
    for (const [name, value] of graph.outputs) {
      if (value.origin.kind === "node" && !this.#names.has(value)) this.#names.set(value, name);
      else copies.push([name, value]);
    }
    for (const node of this.#nodes) body.message(1, this.#node(node));
    for (const [name, value] of copies) {
      const copy = new Message().string(1, this.#use(value)).string(2, name).string(4, "Identity");
      body.message(1, copy);
    }
    body.string(2, graph.name);
    for (const initialiser of this.#initialisers.values()) body.message(5, initialiser);
    for (const input of graph.inputs) body.message(11, valueInfo(input.name, input));
    for (const [name, value] of graph.outputs) body.message(12, valueInfo(name, value));
    return body;
  }

  #node(node: Node): Message {
    const { op } = node;
    const message = new Message();
    const inputs = node.inputs.map((input) => (input ? this.#use(input) : ""));
    for (const operand of op.operands?.(node.attrs) ?? []) {
      inputs.push(operand ? this.#use(this.#graph.constant(operand)) : "");
    }
    while (inputs.at(-1) === "") inputs.pop();
    for (const input of inputs) message.string(1, input);
    for (const output of node.outputs) message.string(2, this.#nameOf(output));
    message.string(3, node.outputs[0]!.name).string(4, op.onnx);
    for (const [name, value] of Object.entries(op.attributes?.(node.attrs) ?? {})) {
      message.message(5, attribute(name, value));
    }
    if (op.domain) message.string(7, op.domain);
    return message;
  }

  /** The name by which a node refers to a value; weights and constants are written when first used. */
  #use(value: Value): string {
    const { origin, name } = value;
    if (origin.kind === "constant" && !this.#initialisers.has(name)) {
      this.#initialisers.set(name, inlineTensor(name, origin.tensor, origin.tensor.dims));
    }
    if (origin.kind === "weight" && !this.#initialisers.has(name)) {
      const dims = value.dims as readonly number[];
      const { source } = origin;
      this.#initialisers.set(
        name,
        "file" in source
          ? externalTensor(name, source, dims, this.externalFolder!)
          : inlineTensor(name, source, dims),
      );
    }
    return this.#nameOf(value);
  }

  #nameOf(value: Value): string {
    return this.#names.get(value) ?? value.name;
  }
}

function inlineTensor(name: string, { dtype, data }: Tensor, dims: readonly number[]): Message {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return tensorHead(name, dtype, dims).bytes(9, bytes);
}

function externalTensor(
  name: string,
  source: StoredTensor,
  dims: readonly number[],
  folder: string,
): Message {
  const message = tensorHead(name, source.dtype as DType, dims);
  const location = source.file
    .slice(folder.length)
    .replace(/^[\\/]/, "")
    .replaceAll("\\", "/");
  const entries = { location, offset: source.offset, length: source.byteLength };
  for (const [key, value] of Object.entries(entries)) {
    message.message(13, new Message().string(1, key).string(2, String(value)));
  }
  return message.int(14, 1);
}

function tensorHead(name: string, dtype: DType, dims: readonly number[]): Message {
  const message = new Message();
  for (const dim of dims) message.int(1, dim);
  return message.int(2, onnxDType[dtype]).string(8, name);
}

function attribute(name: string, value: OnnxAttribute): Message {
  const message = new Message().string(1, name);
  if ("float" in value) return message.float(2, value.float).int(20, 1);
  if ("int" in value) return message.int(3, value.int).int(20, 2);
  if ("string" in value) return message.string(4, value.string).int(20, 3);
  for (const int of value.ints) message.int(8, int);
  return message.int(20, 7);
}

function valueInfo(name: string, { dtype, dims }: Value): Message {
  const shape = new Message();
  for (const dim of dims) {
    const size = new Message();
    shape.message(1, typeof dim === "string" ? size.string(2, dim) : size.int(1, dim));
  }
  const tensorType = new Message().int(1, onnxDType[dtype]).message(2, shape);
  return new Message().string(1, name).message(2, new Message().message(1, tensorType));
}
