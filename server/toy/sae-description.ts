/** A finished SAE that was never on disk, as the SAE room opens it. */
import { assert } from "../base/errors.ts";
import type { SaeDescription } from "../sae/load.ts";
import { computed } from "../sae/parameter.ts";
import type { FinishedSae } from "../training/finished-sae.ts";

/** What `loadSae` would read, had the SAE been written in SAELens's format. */
export function describeSae({ tensors, cfg }: FinishedSae): SaeDescription {
  assert(cfg["normalize_activations"] === "none", "a toy SAE that normalises at run time");
  const [d_in, d_sae] = [cfg["d_in"] as number, cfg["d_sae"] as number];
  const place = { description: "toy SAE" };
  return {
    path: "toy",
    format: "toy",
    badges: [],
    labels: {},
    config: {
      architecture: cfg["architecture"] as string,
      d_in,
      d_out: d_in,
      d_sae,
      hook: "toy",
      prependBos: false,
      normalization: { kind: "none" },
      applyBDecToInput: cfg["apply_b_dec_to_input"] === true,
      ...(typeof cfg["k"] === "number" ? { k: cfg["k"] } : {}),
      options: {},
      declared: {},
      dtypeNote: "float32",
    },
    parameters: new Map(
      [...tensors].map(([key, { dims, data }]) => [
        key,
        computed({ in: place, key, values: data }, dims),
      ]),
    ),
    close: () => {},
  };
}
