/** What an SAE's files claim about it, for showing beside measured figures. */
import type { ConfigFile } from "../config-file.ts";

/** Keys that are kept as they are named, from every object they may stand in. */
const kept = [
  "k",
  "l0",
  "final_l0",
  "num_dead_features",
  "width",
  "training_tokens",
  "trained_as",
  "training_architecture",
  "model_name",
  "dataset_path",
  "neuronpedia_id",
  "sae_lens_version",
];

/** Objectives beside reconstruction and sparsity, by the keys of our own training config that switch them on. */
const objectives = [
  ["tied", "tied"],
  ["endToEnd", "end-to-end"],
  ["adversary", "adversarial"],
  ["attribution", "attribution-sparse"],
] as const;

/** How an SAE of our own trainer was trained, e.g. "tied, adversarial"; nothing for a plain one or another library's. */
export function trainedWith(details: ConfigFile): { trained_with?: string } {
  const found = objectives.filter(([key]) => {
    const value = details.value(key);
    return value === true || (typeof value === "object" && value !== null);
  });
  return found.length === 0 ? {} : { trained_with: found.map(([, name]) => name).join(", ") };
}

/** The known claims of config objects; of a key in several the first counts. */
export function declaredFacts(...objects: ConfigFile[]): Record<string, number | string> {
  const declared: Record<string, number | string> = {};
  for (const object of objects)
    for (const key of kept) {
      const value = object.value(key);
      if (typeof value === "number" || typeof value === "string") declared[key] ??= value;
    }
  return declared;
}
