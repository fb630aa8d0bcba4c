/** Looks for weights that are no numbers before an SAE is used: on the device they would pass unseen as silent latents. */
import { weightsNotFinite } from "./errors.ts";
import { sizeOf } from "../tensor/tensor.ts";
import type { Parameters } from "./parameter.ts";

/** Elements of one parameter that are looked at; of larger ones evenly spread pieces, so that loading stays short. */
const maxElements = 1 << 26;

/** Throws for the first weight found that is NaN or infinite. Yields to the event loop between pieces. */
export async function checkFinite(parameters: Parameters, signal?: AbortSignal): Promise<void> {
  for (const parameter of parameters.values()) {
    const { file, key } = parameter;
    const share = Math.min(1, maxElements / sizeOf(parameter.dims));
    for (const { at, values } of parameter.pieces(share)) {
      signal?.throwIfAborted();
      const wrong = firstNotFinite(values);
      if (wrong >= 0) throw weightsNotFinite(file, key, at + wrong, values[wrong]!);
      await new Promise(setImmediate);
    }
  }
}

/** Index of the first element that is NaN or infinite; −1 if there is none. */
export function firstNotFinite(values: Float32Array): number {
  for (let at = 0; at < values.length; at++) if (!Number.isFinite(values[at])) return at;
  return -1;
}
