/**
 * Writes protobuf messages: https://protobuf.dev/programming-guides/encoding. Only what ONNX needs.
 */
const text = new TextEncoder();

/** A message under construction; pieces are kept as they are and joined once. */
export class Message {
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  /** Field of wire type 0; negative numbers as 64-bit two's complement. */
  int(field: number, value: number): this {
    return this.#varint(field << 3).#varint(value);
  }

  /** Field of wire type 5. */
  float(field: number, value: number): this {
    return this.#varint((field << 3) | 5).#push(new Uint8Array(Float32Array.of(value).buffer));
  }

  /** Field of wire type 2; the bytes are not copied until `finish`. */
  bytes(field: number, value: Uint8Array): this {
    return this.#varint((field << 3) | 2)
      .#varint(value.length)
      .#push(value);
  }

  /** Field of wire type 2 holding UTF-8. */
  string(field: number, value: string): this {
    return this.bytes(field, text.encode(value));
  }

  /** Field of wire type 2 holding a message. */
  message(field: number, value: Message): this {
    this.#varint((field << 3) | 2).#varint(value.#length);
    for (const piece of value.#pieces) this.#push(piece);
    return this;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** The message's bytes. */
  finish(): Uint8Array {
    const out = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      out.set(piece, at);
      at += piece.length;
    }
    return out;
  }

  #push(piece: Uint8Array): this {
    this.#pieces.push(piece);
    this.#length += piece.length;
    return this;
  }

  #varint(value: number): this {
    let rest = BigInt.asUintN(64, BigInt(value));
    const bytes: number[] = [];
    while (rest > 0x7fn) {
      bytes.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    return this.#push(Uint8Array.from(bytes));
  }
}
