/** Whether the system's loader would find a shared library, without loading it. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * True if the library can be found by name on Linux (`LD_LIBRARY_PATH`, then the loader's cache), and on every other
 * platform, where nobody has to ask.
 */
export function hasSharedLibrary(name: string): boolean {
  if (process.platform !== "linux") return true;
  const folders = (process.env["LD_LIBRARY_PATH"] ?? "").split(":").filter(Boolean);
  if (folders.some((folder) => existsSync(join(folder, name)))) return true;
  // ldconfig's cache; systems without one (Alpine) have no glibc and no ONNX Runtime build either.
  const cache = "/etc/ld.so.cache";
  return existsSync(cache) && readFileSync(cache, "latin1").includes(name);
}
