/** SAEs that are in no file yet: their parameters are arrays. */
import type { Tensor } from "../tensor/tensor.ts";
import type { SaeConfig } from "./config.ts";
import type { SaeDescription } from "./load.ts";
import { computed } from "./parameter.ts";

/** A description that `openSae` takes. `name` stands for the path. */
export function describeInMemory(
  name: string,
  config: SaeConfig,
  parameters: ReadonlyMap<string, Tensor<"float32">>,
): SaeDescription {
  return {
    path: name,
    format: "in memory",
    badges: [],
    labels: {},
    config,
    parameters: new Map(
      [...parameters].map(([key, { dims, data }]) => [
        key,
        computed({ in: { description: name }, key, values: data }, dims),
      ]),
    ),
    close: () => {},
  };
}
