/** Long texts from disk, piece by piece, so that a corpus need not fit into memory; `.gz` files are unpacked on the way. */
import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { realPath } from "./disk.ts";
import { notUtf8, unreadableFile } from "./errors.ts";

const pieceBytes = 2 ** 18;

/**
 * The text of a UTF-8 file in pieces of about 256 KiB, without a byte order mark. Pieces end anywhere but inside a
 * character. Bytes that are no UTF-8 are an error that says about where.
 */
export async function* readTextPieces(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let at = 0;
  for await (const bytes of readPieces(path)) {
    yield decode(path, at, () => decoder.decode(bytes, { stream: true }));
    at += bytes.length;
  }
  yield decode(path, at, () => decoder.decode());
}

/** The lines of a text file, without their ends; the last is left out if it is empty. */
export async function* readLines(path: string): AsyncGenerator<string> {
  let rest = "";
  for await (const piece of readTextPieces(path)) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield line.replace(/\r$/, "");
  }
  if (rest !== "") yield rest;
}

async function* readPieces(path: string): AsyncGenerator<Uint8Array> {
  const source = createReadStream(realPath(path), { highWaterMark: pieceBytes });
  const unpacked = path.endsWith(".gz") ? createGunzip({ chunkSize: pieceBytes }) : undefined;
  // `pipe` hands no errors on: a file that ends early would leave its reader waiting for ever.
  source.on("error", (error) => unpacked?.destroy(error));
  if (unpacked) source.pipe(unpacked);
  try {
    yield* (unpacked ?? source) as AsyncIterable<Uint8Array>;
  } catch (cause) {
    throw unreadableFile(path, cause);
  } finally {
    source.destroy();
    unpacked?.destroy();
  }
}

function decode(path: string, at: number, action: () => string): string {
  try {
    return action();
  } catch {
    throw notUtf8(path, at);
  }
}
