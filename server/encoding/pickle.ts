/**
 * A machine for Python pickles that cannot do anything but build lists, tuples, dicts and what its caller allows: it
 * knows the opcodes that torch.save writes (protocols 2 to 5, Python's Lib/pickletools.py) and refuses all others, and it
 * asks `PickleHost` about every global and every call. The package pickleparser was read and not taken: it calls
 * whatever function lies on the stack and sets dict keys such as `__proto__` by assignment.
 */
import { badTorchFile } from "./errors.ts";

/** What a pickle may reach. Each method throws to refuse. */
export interface PickleHost {
  /** The value that stands for a Python object named by module and name. */
  global(module: string, name: string): unknown;
  /** What a persistent id, such as that of a storage, stands for. */
  persistent(id: unknown): unknown;
  /** The result of a call. */
  call(callee: unknown, args: readonly unknown[]): unknown;
}

/** A dict as the pickle builds it: any key, in the order of insertion. */
export class PickleDict {
  readonly entries: Map<unknown, unknown> = new Map();
}

/** Runs a pickle and returns its value: null, booleans, numbers, bigints, strings, bytes, arrays, `PickleDict`s, and the host's values. */
export function readPickle(bytes: Uint8Array, host: PickleHost): unknown {
  const machine = new Machine(bytes, host);
  for (;;) {
    const opcode = machine.byte();
    if (opcode === stop) return machine.pop();
    const op = ops.get(opcode);
    if (op === undefined) {
      throw badTorchFile(
        `its pickle uses opcode 0x${opcode.toString(16)}, which state dicts do not need`,
      );
    }
    op(machine);
  }
}

class Machine {
  readonly host: PickleHost;
  readonly memo = new Map<number, unknown>();
  #stack: unknown[] = [];
  #marks: number[] = [];
  #at = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, host: PickleHost) {
    this.host = host;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  push(value: unknown): void {
    this.#stack.push(value);
  }

  pop(): unknown {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0))
      throw badTorchFile("its pickle takes too much");
    return this.#stack.pop();
  }

  top(): unknown {
    const value = this.pop();
    this.push(value);
    return value;
  }

  mark(): void {
    this.#marks.push(this.#stack.length);
  }

  /** Takes everything above the last mark. */
  popToMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw badTorchFile("its pickle lacks a mark");
    return this.#stack.splice(mark);
  }

  take(length: number): number {
    const from = this.#at;
    if (from + length > this.#bytes.length) throw badTorchFile("its pickle breaks off");
    this.#at += length;
    return from;
  }

  byte(): number {
    return this.#view.getUint8(this.take(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.take(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.take(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.take(4), true);
  }

  uint64(): number {
    return Number(this.#view.getBigUint64(this.take(8), true));
  }

  float64(): number {
    return this.#view.getFloat64(this.take(8), false);
  }

  bytes(length: number): Uint8Array {
    const from = this.take(length);
    return this.#bytes.slice(from, from + length);
  }

  text(length: number): string {
    const from = this.take(length);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(
      this.#bytes.subarray(from, from + length),
    );
  }

  /** Text up to a line feed, which is taken too. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw badTorchFile("its pickle breaks off");
    const text = this.text(end - this.#at);
    this.take(1);
    return text;
  }

  /** A little-endian two's complement integer of any length up to 255 bytes; bigint where a double is not exact. */
  long(length: number): number | bigint {
    let value = 0n;
    const bytes = this.bytes(length);
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
    const signed = length === 0 ? 0n : BigInt.asIntN(length * 8, value);
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
  }
}

const stop = ".".charCodeAt(0);

/** What each opcode does. */
const ops: ReadonlyMap<number, (m: Machine) => void> = new Map<number, (m: Machine) => void>([
  [0x80, (m) => m.byte()], // PROTO
  [0x95, (m) => m.take(8)], // FRAME
  [code("("), (m) => m.mark()],
  [code("0"), (m) => m.pop()],
  [code("1"), (m) => m.popToMark()],
  [code("2"), (m) => m.push(m.top())],

  [code("q"), (m) => m.memo.set(m.byte(), m.top())],
  [code("r"), (m) => m.memo.set(m.uint32(), m.top())],
  [0x94, (m) => m.memo.set(m.memo.size, m.top())], // MEMOIZE
  [code("h"), (m) => m.push(remembered(m, m.byte()))],
  [code("j"), (m) => m.push(remembered(m, m.uint32()))],

  [code("N"), (m) => m.push(null)],
  [0x88, (m) => m.push(true)],
  [0x89, (m) => m.push(false)],
  [code("J"), (m) => m.push(m.int32())],
  [code("K"), (m) => m.push(m.byte())],
  [code("M"), (m) => m.push(m.uint16())],
  [0x8a, (m) => m.push(m.long(m.byte()))], // LONG1
  [code("G"), (m) => m.push(m.float64())],

  [code("X"), (m) => m.push(m.text(m.uint32()))],
  [0x8c, (m) => m.push(m.text(m.byte()))], // SHORT_BINUNICODE
  [0x8d, (m) => m.push(m.text(m.uint64()))], // BINUNICODE8
  [code("T"), (m) => m.push(m.text(m.uint32()))],
  [code("U"), (m) => m.push(m.text(m.byte()))],
  [code("B"), (m) => m.push(m.bytes(m.uint32()))],
  [code("C"), (m) => m.push(m.bytes(m.byte()))],

  [code(")"), (m) => m.push(Object.freeze([]))],
  [code("t"), (m) => m.push(Object.freeze(m.popToMark()))],
  [0x85, (m) => pushTuple(m, 1)],
  [0x86, (m) => pushTuple(m, 2)],
  [0x87, (m) => pushTuple(m, 3)],
  [code("]"), (m) => m.push([])],
  [code("a"), (m) => append(m, [m.pop()])],
  [code("e"), (m) => append(m, m.popToMark())],
  [code("}"), (m) => m.push(new PickleDict())],
  [code("s"), (m) => setItems(m, [m.pop(), m.pop()].toReversed())],
  [code("u"), (m) => setItems(m, m.popToMark())],
  [0x8f, (m) => m.push([])], // EMPTY_SET
  [0x90, (m) => append(m, m.popToMark())], // ADDITEMS
  [0x91, (m) => m.push(m.popToMark())], // FROZENSET

  [code("c"), (m) => m.push(m.host.global(m.line(), m.line()))],
  [0x93, pushStackGlobal],
  [code("Q"), (m) => m.push(m.host.persistent(m.pop()))],
  [code("R"), call],
  [code("b"), build],
]);

function code(character: string): number {
  return character.charCodeAt(0);
}

function remembered(m: Machine, index: number): unknown {
  if (!m.memo.has(index))
    throw badTorchFile(`its pickle recalls memo ${index}, which it never set`);
  return m.memo.get(index);
}

/** Tuples are frozen arrays, so that nothing can be appended to them. */
function pushTuple(m: Machine, length: number): void {
  const items = Array.from({ length }, () => m.pop());
  m.push(Object.freeze(items.toReversed()));
}

function append(m: Machine, items: readonly unknown[]): void {
  const list = m.top();
  if (!Array.isArray(list) || Object.isFrozen(list))
    throw badTorchFile("its pickle appends to no list");
  for (const item of items) list.push(item);
}

/** Keys and values alternate. */
function setItems(m: Machine, items: readonly unknown[]): void {
  const dict = m.top();
  if (!(dict instanceof PickleDict) || items.length % 2 !== 0) {
    throw badTorchFile("its pickle sets items of no dict");
  }
  for (let i = 0; i < items.length; i += 2) dict.entries.set(items[i], items[i + 1]);
}

function pushStackGlobal(m: Machine): void {
  const name = m.pop();
  const module = m.pop();
  if (typeof module !== "string" || typeof name !== "string") {
    throw badTorchFile("its pickle names a Python object by something else than text");
  }
  m.push(m.host.global(module, name));
}

function call(m: Machine): void {
  const args = m.pop();
  const callee = m.pop();
  if (!Array.isArray(args)) throw badTorchFile("its pickle calls without a tuple of arguments");
  m.push(m.host.call(callee, args));
}

/** Attributes of a dict object, such as the `_metadata` of a state dict, are dropped; other objects get none. */
function build(m: Machine): void {
  m.pop();
  if (!(m.top() instanceof PickleDict)) throw badTorchFile("its pickle sets attributes of no dict");
}
