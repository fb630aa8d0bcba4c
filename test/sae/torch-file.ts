/** Writes checkpoints as torch.save does, for layouts whose real files no test has. */
import type { Tensor } from "../../server/tensor/tensor.ts";

/** What a state dict may hold here. */
export type TorchEntry = Tensor<"float32"> | string | number | { [key: string]: TorchEntry };

/** A checkpoint of these values. */
export function torchFile(values: { [key: string]: TorchEntry }): Buffer {
  const pickle = new Pickle();
  pickle.entry(values);
  const members = [
    { name: "sae/data.pkl", data: pickle.finish() },
    ...pickle.storages.map((data, at) => ({ name: `sae/data/${at}`, data })),
  ];
  return storedZip(members);
}

/** A zip archive whose members are not compressed. */
export function storedZip(members: readonly { name: string; data: Buffer }[]): Buffer {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  let offset = 0;
  for (const { name, data } of members) {
    const local = Buffer.concat([header(0x04034b50, [], name, data), Buffer.from(name), data]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    centrals.push(header(0x02014b50, [20, 0], name, data), rest, Buffer.from(name));
    locals.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(centrals);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(members.length, 8);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, central, end]);
}

/** Opcodes of protocol 2, as many as a state dict needs. */
class Pickle {
  readonly storages: Buffer[] = [];
  readonly #parts: Buffer[] = [Buffer.from([0x80, 2])];

  entry(value: TorchEntry): void {
    if (typeof value === "string") this.#text(value);
    else if (typeof value === "number") this.#int(value);
    else if ("dims" in value) this.#tensor(value as Tensor<"float32">);
    else {
      this.#ops("}(");
      for (const [key, inner] of Object.entries(value)) {
        this.#text(key);
        this.entry(inner);
      }
      this.#ops("u");
    }
  }

  finish(): Buffer {
    return Buffer.concat([...this.#parts, Buffer.from(".")]);
  }

  #tensor({ dims, data }: Tensor<"float32">): void {
    const key = String(this.storages.length);
    this.storages.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    this.#ops("ctorch._utils\n_rebuild_tensor_v2\n((");
    this.#text("storage");
    this.#ops("ctorch\nFloatStorage\n");
    this.#text(key);
    this.#text("cpu");
    this.#int(data.length);
    this.#ops("tQ");
    this.#int(0);
    this.#tuple(dims);
    this.#tuple(dims.map((_, at) => dims.slice(at + 1).reduce((n, dim) => n * dim, 1)));
    this.#ops("\x89ccollections\nOrderedDict\n)RtR");
  }

  #tuple(values: readonly number[]): void {
    this.#ops("(");
    for (const value of values) this.#int(value);
    this.#ops("t");
  }

  #text(text: string): void {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    this.#parts.push(Buffer.from("X"), length, bytes);
  }

  #int(value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    this.#parts.push(Buffer.from("J"), bytes);
  }

  #ops(ops: string): void {
    this.#parts.push(Buffer.from(ops, "latin1"));
  }
}

function header(signature: number, extra: number[], name: string, data: Buffer): Buffer {
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(20, 0);
  fields.writeUInt32LE(crc32(data), 10);
  fields.writeUInt32LE(data.length, 14);
  fields.writeUInt32LE(data.length, 18);
  fields.writeUInt16LE(name.length, 22);
  const start = Buffer.alloc(4);
  start.writeUInt32LE(signature);
  return Buffer.concat([start, Buffer.from(extra), fields]);
}

function crc32(data: Buffer): number {
  let crc = ~0;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
