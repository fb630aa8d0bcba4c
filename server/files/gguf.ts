/** GGUF files: weights and metadata of one file. */
import { badGguf } from "../encoding/errors.ts";
import { readGgufHeader } from "../encoding/gguf.ts";
import type { GgufHeader } from "../encoding/gguf.ts";
import type { OpenFile } from "./disk.ts";
import { openFile, realPath } from "./disk.ts";
import { inFile } from "./errors.ts";
import type { Weights } from "./stored-weights.ts";
import { weightsOf } from "./stored-weights.ts";

/** A vocabulary takes some 10 MB; a header longer than this is no header. */
const maxGgufHeaderBytes = 2 ** 28;

/** Opens a GGUF file: its tensors under their own names, and its metadata, which hold config and tokenizer. */
export function openGguf(path: string): { weights: Weights; metadata: Map<string, unknown> } {
  const file = realPath(path);
  const source = openFile(file);
  try {
    const { tensors, metadata } = ggufHeader(path, source);
    const places = [...tensors].map(([name, { type, dims, offset, byteLength }]) => {
      return [name, { file, offset, byteLength, dtype: type, dims }] as const;
    });
    return { weights: weightsOf(path, new Map(places)), metadata };
  } finally {
    source.close();
  }
}

/** The header's length is known only after reading it: try with a beginning of the file, then with a longer one. */
function ggufHeader(path: string, source: OpenFile): GgufHeader {
  for (let bytes = 4 * 2 ** 20; ; bytes *= 4) {
    const start = new Uint8Array(Math.min(bytes, source.size));
    source.read(0, start);
    const header = inFile(path, () => readGgufHeader(start, source.size));
    if (header !== undefined) return header;
    if (bytes >= maxGgufHeaderBytes) {
      return inFile(path, () => {
        throw badGguf(`its header is longer than ${maxGgufHeaderBytes} bytes`);
      });
    }
  }
}
