/** Labels that lie beside an SAE's weights. */
import { join } from "node:path";
import { exists, readJson } from "../files/disk.ts";

/** Labels by latent, and what in the file was no label. */
export interface Labels {
  readonly labels: Readonly<Record<number, string>>;
  readonly problems: readonly string[];
}

/**
 * Reads `labels.json` of an SAE's folder: `{"17": {"label": "…"}}`, or the text alone in place of the object.
 * Entries that are no labels are reported and left out; the SAE loads all the same.
 */
export function readLabels(folder: string, d_sae: number): Labels {
  const path = join(folder, "labels.json");
  if (!exists(path)) return { labels: {}, problems: [] };
  const value = readJson(path);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return { labels: {}, problems: [`${path} is not an object of labels by latent`] };
  const labels: Record<number, string> = {};
  const wrong: string[] = [];
  for (const [key, entry] of Object.entries(value)) {
    const label = typeof entry === "string" ? entry : (entry as { label?: unknown } | null)?.label;
    const latent = Number(key);
    const known = /^\d+$/.test(key) && latent < d_sae;
    if (known && typeof label === "string") labels[latent] = label;
    else wrong.push(key);
  }
  const problems =
    wrong.length === 0
      ? []
      : [
          `${path}: ${wrong.length} entries are no labels of latents 0 to ${d_sae - 1}: ${wrong.slice(0, 5).join(", ")}`,
        ];
  return { labels, problems };
}
