/**
 * Zip archives, as numpy.savez and torch.save write them (PKWARE APPNOTE.TXT 4.3, with zip64). The directory is read
 * here, so that members that are not compressed stay views of the archive; fflate inflates the others, never to
 * more than the directory says and never beyond a budget. Checksums are not looked at, as in PyTorch's own reader.
 */
import { inflateSync } from "fflate";
import { UserError } from "../base/errors.ts";
import { badZip } from "./errors.ts";

/** The members of an archive. */
export interface Zip {
  readonly names: readonly string[];
  has(name: string): boolean;
  /** Bytes of a member: a view if it is not compressed. A missing one is a user's error. */
  read(name: string): Uint8Array;
}

/** Bytes that reading a file may take: weights are noise and hardly shrink, so a file that grows more than this is a bomb. */
export class Budget {
  #left: number;
  readonly #limit: number;

  constructor(fileBytes: number) {
    this.#limit = 2 ** 28 + 64 * fileBytes;
    this.#left = this.#limit;
  }

  take(bytes: number, what: string): void {
    this.#left -= bytes;
    if (this.#left < 0) {
      throw new UserError(
        "archive-too-large",
        `${what} would grow the file beyond ${this.#limit} bytes, which weights never do: it is refused`,
      );
    }
  }
}

interface Member {
  readonly method: number;
  readonly compressed: number;
  readonly size: number;
  readonly header: number;
}

const stored = 0;
const deflated = 8;

/** Reads the directory of an archive; members are read when asked for. */
export function readZip(bytes: Uint8Array, budget: Budget): Zip {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const members = readDirectory(bytes, view);
  return {
    names: [...members.keys()],
    has: (name) => members.has(name),
    read(name) {
      const member = members.get(name);
      if (member === undefined) throw badZip(`it has no member "${name}"`);
      return readMember(bytes, view, member, { name, budget });
    },
  };
}

/** True if the bytes begin as zip archives do. */
export function looksLikeZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && (bytes[2] === 3 || bytes[2] === 5);
}

function readMember(
  bytes: Uint8Array,
  view: DataView,
  member: Member,
  { name, budget }: { name: string; budget: Budget },
): Uint8Array {
  const { header, compressed, size, method } = member;
  if (header + 30 > bytes.length || view.getUint32(header, true) !== 0x04034b50) {
    throw badZip(`member "${name}" does not begin where the directory says`);
  }
  const from = header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true);
  if (from + compressed > bytes.length) {
    throw badZip(`member "${name}" ends after the file (a download that was cut off?)`);
  }
  const raw = bytes.subarray(from, from + compressed);
  if (method === stored) {
    if (compressed !== size)
      throw badZip(`member "${name}" has two sizes, ${compressed} and ${size}`);
    return raw;
  }
  budget.take(size, `member "${name}"`);
  return inflate(raw, size, name);
}

function inflate(raw: Uint8Array, size: number, name: string): Uint8Array {
  // One byte more than declared, so that data that goes on shows; fflate never writes past the array it is given.
  let out: Uint8Array;
  try {
    out = inflateSync(raw, { out: new Uint8Array(size + 1) });
  } catch (cause) {
    const words = badZip(`member "${name}" does not inflate`);
    throw new UserError(words.code, words.message, { cause });
  }
  if (out.length !== size)
    throw badZip(`member "${name}" does not inflate to the ${size} bytes declared`);
  return out;
}

function readDirectory(bytes: Uint8Array, view: DataView): Map<string, Member> {
  const { count, offset, size } = readDirectoryEnd(view);
  if (offset + size > bytes.length) throw badZip("its directory ends after the file");
  const members = new Map<string, Member>();
  const end = offset + size;
  let at = offset;
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || view.getUint32(at, true) !== 0x02014b50) {
      throw badZip(`its directory breaks off at entry ${i} of ${count}`);
    }
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const commentLength = view.getUint16(at + 32, true);
    const next = at + 46 + nameLength + extraLength + commentLength;
    if (next > end) throw badZip(`its directory breaks off at entry ${i} of ${count}`);
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    if (members.has(name)) throw badZip(`it has two members "${name}"`);
    members.set(name, readMemberEntry(view, at, name));
    at = next;
  }
  return members;
}

function readMemberEntry(view: DataView, at: number, name: string): Member {
  if (view.getUint16(at + 8, true) & 1) throw badZip(`member "${name}" is encrypted`);
  const method = view.getUint16(at + 10, true);
  if (method !== stored && method !== deflated) {
    throw badZip(`member "${name}" is compressed by method ${method}, readable are 0 and 8`);
  }
  const extra = at + 46 + view.getUint16(at + 28, true);
  const large = zip64Numbers(view, extra, view.getUint16(at + 30, true));
  // Of the three numbers, those that are all ones stand in the zip64 field, in this order.
  const number = (field: number): number => {
    const value = view.getUint32(at + field, true);
    return value === 0xffffffff ? (large.shift() ?? value) : value;
  };
  const size = number(24);
  const compressed = number(20);
  const header = number(42);
  return { method, size, compressed, header };
}

/** The 8-byte numbers of the zip64 extra field (id 1). */
function zip64Numbers(view: DataView, from: number, length: number): number[] {
  const numbers: number[] = [];
  for (let at = from; at + 4 <= from + length;) {
    const fieldEnd = at + 4 + view.getUint16(at + 2, true);
    if (view.getUint16(at, true) === 1) {
      for (let i = at + 4; i + 8 <= Math.min(fieldEnd, from + length); i += 8) {
        numbers.push(Number(view.getBigUint64(i, true)));
      }
    }
    at = fieldEnd;
  }
  return numbers;
}

interface DirectoryEnd {
  readonly count: number;
  readonly offset: number;
  readonly size: number;
}

/** Finds the end-of-directory record, behind which only a comment of at most 65,535 bytes may stand. */
function readDirectoryEnd(view: DataView): DirectoryEnd {
  const lowest = Math.max(0, view.byteLength - 22 - 0xffff);
  for (let at = view.byteLength - 22; at >= lowest; at--) {
    if (view.getUint32(at, true) !== 0x06054b50) continue;
    return (
      readZip64End(view, at) ?? {
        count: view.getUint16(at + 10, true),
        size: view.getUint32(at + 12, true),
        offset: view.getUint32(at + 16, true),
      }
    );
  }
  throw badZip("it has no directory at its end (a download that was cut off?)");
}

/** A locator right before the ordinary record leads to the zip64 one. */
function readZip64End(view: DataView, end: number): DirectoryEnd | undefined {
  const locator = end - 20;
  if (locator < 0 || view.getUint32(locator, true) !== 0x07064b50) return undefined;
  const at = Number(view.getBigUint64(locator + 8, true));
  if (at + 56 > view.byteLength || view.getUint32(at, true) !== 0x06064b50) {
    throw badZip("its zip64 directory is not where it says");
  }
  return {
    count: Number(view.getBigUint64(at + 32, true)),
    size: Number(view.getBigUint64(at + 40, true)),
    offset: Number(view.getBigUint64(at + 48, true)),
  };
}
