/**
 * ONNX Runtime reads external weights only below one folder that the session names: the deepest one that all
 * files of a graph share.
 */
import { assert } from "../../base/errors.ts";

/** The deepest folder above all these absolute files, or undefined for none. */
export function commonFolder(files: readonly string[]): string | undefined {
  let shared: string[] | undefined;
  for (const file of files) {
    const folders = file.split(/[\\/]/).slice(0, -1);
    if (shared === undefined) {
      shared = folders;
      continue;
    }
    let n = 0;
    while (n < shared.length && shared[n] === folders[n]) n++;
    assert(n > 0, `weights lie on different drives: ${file} and ${shared.join("/")}`);
    shared = shared.slice(0, n);
  }
  if (shared === undefined) return undefined;
  const separator = files[0]!.includes("\\") ? "\\" : "/";
  return shared.length === 1 ? `${shared[0]}${separator}` : shared.join(separator);
}
