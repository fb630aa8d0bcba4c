/** Where our own files lie, and the names that files of weights have in caches. */
import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { isFolder, listFiles, openFile } from "./disk.ts";

const ourName = "latent-workbench";

/** The folder for what can be computed or fetched again, by each system's convention. */
export function defaultCacheFolder(): string {
  const { LOCALAPPDATA, XDG_CACHE_HOME } = process.env;
  if (process.platform === "win32") {
    return join(LOCALAPPDATA || join(homedir(), "AppData", "Local"), ourName, "Cache");
  }
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", ourName);
  return join(XDG_CACHE_HOME || join(homedir(), ".cache"), ourName);
}

const sampleBytes = 4096;
const samples = 64;
const endBytes = 2 ** 20;

/**
 * A key for the contents of a file that costs the same for any size: sha256 of its size, its first and last MiB and 64
 * pieces of 4 KiB evenly spread between; of everything for files up to 4 MiB. Weights that were trained, converted or
 * rounded again differ everywhere, so this tells them apart; it is no protection against someone who wants it to fail.
 */
export function hashFile(path: string): string {
  const file = openFile(path);
  try {
    const { size } = file;
    const hash = createHash("sha256").update(`${size}\n`);
    const take = (offset: number, length: number): void => {
      const bytes = new Uint8Array(length);
      file.read(offset, bytes);
      hash.update(bytes);
    };
    if (size <= 4 * endBytes) {
      take(0, size);
    } else {
      take(0, endBytes);
      const step = (size - 2 * endBytes - sampleBytes) / (samples - 1);
      for (let i = 0; i < samples; i++) take(Math.floor(endBytes + i * step), sampleBytes);
      take(size - endBytes, endBytes);
    }
    return hash.digest("hex");
  } finally {
    file.close();
  }
}

/** Files that say what an LM or SAE computes. */
const telling = /\.(safetensors|gguf|npz|pt|pth|json|ya?ml|model)$/;

/**
 * A key for an LM or SAE: `hashFile` of a file, or of all files of a folder that hold weights, configs or tokenizers,
 * with their names. The same folder elsewhere, or behind links, has the same key.
 */
export function hashWeights(path: string): string {
  const hash = createHash("sha256");
  const files = isFolder(path) ? listFiles(path).filter((file) => telling.test(file)) : [""];
  for (const file of files) {
    const name = file === "" ? basename(path) : file;
    hash.update(`${name}\n${hashFile(join(path, file))}\n`);
  }
  return hash.digest("hex");
}
