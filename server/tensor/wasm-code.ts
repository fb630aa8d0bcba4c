/**
 * WebAssembly by hand: just enough instructions to write loops over float32 vectors of four lanes. A piece of code is an
 * array of bytes; functions compose them, so that `add(get(x), i32(4))` reads like what it does.
 *
 * https://webassembly.github.io/spec/core/binary/ (instructions, modules), with the fixed-width SIMD proposal.
 */

/** Bytes of instructions. */
export type Code = readonly number[];

/** Value types of parameters, locals and results. */
export const valueTypes = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const;

/** Name of a value type. */
export type ValueType = keyof typeof valueTypes;

/** One exported function: its parameters are its first locals. */
export interface WasmFunction {
  readonly name: string;
  readonly parameters: readonly ValueType[];
  readonly result?: ValueType;
  /** Locals after the parameters. */
  readonly locals: readonly ValueType[];
  readonly body: Code;
}

/** Bytes of a module that imports `env.memory`, shared with other threads or not, and exports the functions. */
export function wasmModule(
  functions: readonly WasmFunction[],
  isShared: boolean,
): Uint8Array<ArrayBuffer> {
  const types = functions.map(({ parameters, result }) => [
    0x60,
    ...vector(parameters.map((type) => [valueTypes[type]])),
    ...vector(result === undefined ? [] : [[valueTypes[result]]]),
  ]);
  const limits = isShared ? [0x03, ...unsigned(0), ...unsigned(2 ** 16)] : [0x00, ...unsigned(0)];
  const memory = [...text("env"), ...text("memory"), 0x02, ...limits];
  const bodies = functions.map(({ locals, body }) => {
    const code = [...vector(locals.map((type) => [1, valueTypes[type]])), ...body, 0x0b];
    return [...unsigned(code.length), ...code];
  });
  const magicAndVersion = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  return Uint8Array.from([
    ...magicAndVersion,
    ...section(1, types),
    ...section(2, [memory]),
    ...section(
      3,
      functions.map((_, at) => unsigned(at)),
    ),
    ...section(
      7,
      functions.map(({ name }, at) => [...text(name), 0x00, ...unsigned(at)]),
    ),
    ...section(10, bodies),
  ]);
}

function section(id: number, entries: readonly Code[]): Code {
  const content = vector(entries);
  return [id, ...unsigned(content.length), ...content];
}

function vector(entries: readonly Code[]): Code {
  return [...unsigned(entries.length), ...entries.flat()];
}

function text(value: string): Code {
  return vector([...new TextEncoder().encode(value)].map((byte) => [byte]));
}

/** Unsigned LEB128. */
function unsigned(value: number): Code {
  const bytes: number[] = [];
  let rest = value;
  do {
    const byte = rest & 0x7f;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? byte | 0x80 : byte);
  } while (rest > 0);
  return bytes;
}

/** Signed LEB128. */
function signed(value: number): Code {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    const done = (rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0);
    bytes.push(done ? byte : byte | 0x80);
    if (done) return bytes;
  }
}

const simd = (opcode: number): Code => [0xfd, ...unsigned(opcode)];

/** A constant. */
export const i32 = (value: number): Code => [0x41, ...signed(value)];
/** The value of a local. */
export const get = (local: number): Code => [0x20, ...unsigned(local)];
/** Stores a value in a local. */
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];
/** Sum of two i32. */
export const add = (a: Code, b: Code): Code => [...a, ...b, 0x6a];
/** Difference of two i32. */
export const sub = (a: Code, b: Code): Code => [...a, ...b, 0x6b];
/** Product of two i32. */
export const mul = (a: Code, b: Code): Code => [...a, ...b, 0x6c];
/** Bits of both i32. */
export const and = (a: Code, b: Code): Code => [...a, ...b, 0x71];
/** The i32 at an address. */
export const loadI32 = (address: Code, offset = 0): Code => [
  ...address,
  0x28,
  0x02,
  ...unsigned(offset),
];

/** Runs the body while `counter < end` (unsigned), adding `step` to the counter after each round. */
export function forUpTo(counter: number, end: Code, step: number, body: Code): Code {
  const done = [...get(counter), ...end, 0x4f, 0x0d, 0x01];
  const next = set(counter, add(get(counter), i32(step)));
  // block { loop { if counter >= end leave; body; next; again } }
  return [0x02, 0x40, 0x03, 0x40, ...done, ...body, ...next, 0x0c, 0x00, 0x0b, 0x0b];
}

/** Arithmetic on single float32. */
export const f32 = {
  load: (address: Code, offset = 0): Code => [...address, 0x2a, 0x02, ...unsigned(offset)],
  store: (address: Code, value: Code, offset = 0): Code => [
    ...address,
    ...value,
    0x38,
    0x02,
    ...unsigned(offset),
  ],
  add: (a: Code, b: Code): Code => [...a, ...b, 0x92],
  sub: (a: Code, b: Code): Code => [...a, ...b, 0x93],
  mul: (a: Code, b: Code): Code => [...a, ...b, 0x94],
  div: (a: Code, b: Code): Code => [...a, ...b, 0x95],
  sqrt: (a: Code): Code => [...a, 0x91],
} as const;

/** Arithmetic on four float32 at once; addresses need no alignment. */
export const f32x4 = {
  zero: [...simd(12), ...Array.from({ length: 16 }, () => 0)] as Code,
  load: (address: Code, offset = 0): Code => [...address, ...simd(0), 0x00, ...unsigned(offset)],
  store: (address: Code, value: Code, offset = 0): Code => [
    ...address,
    ...value,
    ...simd(11),
    0x00,
    ...unsigned(offset),
  ],
  splat: (a: Code): Code => [...a, ...simd(19)],
  lane: (a: Code, index: number): Code => [...a, ...simd(31), index],
  add: (a: Code, b: Code): Code => [...a, ...b, ...simd(228)],
  sub: (a: Code, b: Code): Code => [...a, ...b, ...simd(229)],
  mul: (a: Code, b: Code): Code => [...a, ...b, ...simd(230)],
  div: (a: Code, b: Code): Code => [...a, ...b, ...simd(231)],
  sqrt: (a: Code): Code => [...a, ...simd(227)],
} as const;

/** WebAssembly's memory: its pages as an array buffer, another one after each growth. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  grow(pages: number): void;
}

interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Memory: new (pages: {
    initial: number;
    maximum: number;
    shared?: boolean;
  }) => WasmMemory;
  readonly Instance: new (
    module: object,
    imports: { env: { memory: WasmMemory } },
  ) => { readonly exports: unknown };
}

/** JavaScript's own entry, of which the types of Node know nothing. */
export const webAssembly: WebAssemblyApi = (
  globalThis as unknown as { WebAssembly: WebAssemblyApi }
).WebAssembly;
