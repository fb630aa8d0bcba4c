/**
 * What can be wrong with the bytes of a weight file. The texts do not name the file, which this room never sees:
 * the files room puts the path before them.
 */
import { UserError } from "../base/errors.ts";

/** The bytes are not a complete, consistent safetensors file. */
export function badSafetensors(found: string): UserError {
  return new UserError(
    "bad-safetensors",
    `not a whole safetensors file: ${found}; download or save it again`,
  );
}

/** The bytes are not a complete, consistent GGUF file. */
export function badGguf(found: string): UserError {
  return new UserError("bad-gguf", `not a whole GGUF file: ${found}; download or convert it again`);
}

/** A GGUF tensor has a block layout that we do not dequantise. */
export function unknownBlockType(
  tensor: string,
  type: string,
  known: readonly string[],
): UserError {
  return new UserError(
    "unknown-block-type",
    `tensor "${tensor}" has GGUF type ${type}; readable are ${known.join(", ")}: take a file in one of these`,
  );
}

/** An element type that no array in memory holds, such as FP8. */
export function unknownDType(tensor: string, dtype: string, known: readonly string[]): UserError {
  return new UserError(
    "unknown-dtype",
    `tensor "${tensor}" has element type ${dtype}; readable are ${known.join(", ")}: convert it to one of these`,
  );
}

/** The bytes are not a zip archive that we can read. */
export function badZip(found: string): UserError {
  return new UserError("bad-zip", `not a whole zip archive: ${found}; download or save it again`);
}

/** The bytes are not an .npy array or an .npz archive of them. */
export function badNpy(found: string): UserError {
  return new UserError(
    "bad-npy",
    `not a readable NumPy array: ${found}; save it again with numpy.savez`,
  );
}

/** The bytes are not a checkpoint that torch.save writes. */
export function badTorchFile(found: string): UserError {
  return new UserError(
    "bad-torch-file",
    `not a readable PyTorch checkpoint: ${found}; save its state_dict again with torch.save or as safetensors`,
  );
}

/** A pickle asks for a Python object outside the allow-list: it is refused and nothing of it is run. */
export function refusedGlobal(global: string): UserError {
  return new UserError(
    "refused-pickle",
    `the pickle asks for the Python object "${global}", which is not on the list of harmless ones: refused, nothing was run; ` +
      "if you trust the file, load it in Python and save its state_dict as safetensors",
  );
}

/** The bytes are no Parquet file, or one that was cut off or damaged. */
export function badParquet(cause: unknown): UserError {
  const found = cause instanceof Error ? cause.message : String(cause);
  return new UserError(
    "bad-parquet",
    `not a readable Parquet file: ${found}; fetch or write it again`,
    { cause },
  );
}
