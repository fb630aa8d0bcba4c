/** A safetensors file with one tensor `[batches, rows, d]`, taken in order: replays of other tools' runs. */
import { hashFile } from "../../files/locations.ts";
import { openSafetensors } from "../../files/weights.ts";
import { tensor } from "../../tensor/tensor.ts";
import { badBatchesFile, noHookHere } from "./errors.ts";
import type { RunData } from "./open-data.ts";
import type { DataConfig } from "./run-config.ts";

/** The one name that batches of a file have. */
const rowsName = "x";

/** Opens a file of batches. */
export async function openBatchesFile(
  config: Extract<DataConfig, { kind: "batches" }>,
): Promise<RunData> {
  const weights = openSafetensors(config.file);
  const names = weights.names();
  const name = names.length === 1 ? names[0]! : "batches";
  const dims = weights.dims(name);
  if (dims?.length !== 3) {
    const found = names.map((it) => `${it} [${weights.dims(it)?.join(", ")}]`).join(", ");
    weights.close();
    throw badBatchesFile(config.file, `it has ${found || "no tensor"}`);
  }
  const [nBatches, rows, width] = dims as [number, number, number];
  return {
    config,
    batchRows: rows,
    inputs: { batches: hashFile(config.file) },
    hook(asked) {
      if (asked !== null && asked !== rowsName) throw noHookHere(asked);
      return { name: rowsName, width };
    },
    metadata: () => ({}),
    async open() {
      const batches = {
        count: config.epochs === 0 ? Infinity : config.epochs * nBatches,
        async batch(index: number, signal?: AbortSignal) {
          signal?.throwIfAborted();
          // A replay is quick and must be stoppable.
          await new Promise(setImmediate);
          const at = index % nBatches;
          const data = weights.readRows(name, at, at + 1);
          return new Map([[rowsName, tensor("float32", [rows, width], data)]]);
        },
        close: async () => weights.close(),
      };
      return { batches, bytes: 0 };
    },
    close: async () => weights.close(),
  };
}
