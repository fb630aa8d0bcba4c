/** Training configs of other libraries. */
import { badTrainConfig } from "./errors.ts";
import { importDictionaryLearning } from "./import-dictionary-learning.ts";
import { importSaeLens } from "./import-sae-lens.ts";
import type { TrainConfig } from "./config.ts";

/**
 * Finds out whose config it is: SAELens's has `sae_cfg` and `trainer_cfg`, dictionary_learning's a `trainer_class`, also
 * under `trainer` (its config.json). A record of a run may hold either under `hyper`.
 */
export function importTrainConfig(value: unknown, where: string): TrainConfig {
  for (const key of ["hyper", "trainer"]) {
    const inner = member(value, key);
    if (typeof inner === "object" && inner !== null) return importTrainConfig(inner, where);
  }
  if (member(value, "sae_cfg") !== undefined) return importSaeLens(value, where);
  if (member(value, "trainer_class") !== undefined) return importDictionaryLearning(value, where);
  throw badTrainConfig({
    where,
    key: "the config",
    found: value,
    expected:
      'a SAELens config ("sae_cfg" and "trainer_cfg") or a dictionary_learning one ("trainer_class")',
  });
}

function member(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}
