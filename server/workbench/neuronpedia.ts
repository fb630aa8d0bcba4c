/**
 * Explanations as Neuronpedia's exports have them: rows with `modelId`, `layer` (`20-gemmascope-res-16k`), `index`,
 * `description`, and `id`, `authorId`, `typeName`, `explanationModelName` and more (its `schema.prisma`, table Explanation).
 */
import { UserError } from "../base/errors.ts";
import { readTextPieces } from "../files/text-pieces.ts";
import type { StoredLabel } from "./label-files.ts";

/** A row, as far as it concerns us. */
interface Explanation extends Readonly<Record<string, unknown>> {
  readonly id?: string;
  readonly index: number | string;
  readonly description: string;
}

/** Rows of an export as labels: JSON Lines, a JSON list, or an object that has one under `explanations`. */
export async function labelsOfExport(path: string, d_sae: number): Promise<StoredLabel[]> {
  let text = "";
  for await (const piece of readTextPieces(path)) text += piece;
  const labels = rowsOf(text).flatMap((row) => (isExplanation(row, d_sae) ? [labelOf(row)] : []));
  if (labels.length === 0)
    throw new UserError(
      "no-explanations",
      `${path} has no explanations of latents 0 to ${d_sae - 1}: expected rows with index and description, as Neuronpedia exports them`,
    );
  return labels;
}

/** A label as a row; what it was imported with comes back as it was. */
export function explanationOf(
  label: StoredLabel,
  source: { modelId: string; layer: string } | undefined,
): Record<string, unknown> {
  const { latent, label: description, id, author, date, neuronpedia } = label;
  return {
    ...(id === undefined ? {} : { id }),
    ...source,
    ...neuronpedia,
    index: String(latent),
    description,
    ...(neuronpedia === undefined && author !== undefined ? { authorId: author } : {}),
    ...(neuronpedia === undefined && date !== undefined ? { createdAt: date } : {}),
  };
}

/** `modelId` and `layer` of an id such as `gemma-2-2b/20-gemmascope-res-16k`. */
export function sourceOfId(id: string): { modelId: string; layer: string } | undefined {
  const [modelId, layer, ...rest] = id.split("/");
  return modelId && layer && rest.length === 0 ? { modelId, layer } : undefined;
}

function rowsOf(text: string): unknown[] {
  const values = tryJson(text) ?? text.split("\n").map((line) => tryJson(line));
  if (Array.isArray(values)) return values;
  const { explanations } = values as { explanations?: unknown };
  return Array.isArray(explanations) ? explanations : [values];
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}

function isExplanation(value: unknown, d_sae: number): value is Explanation {
  const row = value as Explanation | undefined;
  const index = Number(row?.index);
  return (
    typeof row?.description === "string" &&
    row.description.trim() !== "" &&
    Number.isSafeInteger(index) &&
    index >= 0 &&
    index < d_sae
  );
}

function labelOf(row: Explanation): StoredLabel {
  const { id, index, description, embedding: _embedding, ...rest } = row;
  const author = rest["explanationModelName"] ?? rest["authorId"];
  const date = rest["createdAt"];
  return {
    latent: Number(index),
    label: description.trim(),
    ...(typeof author === "string" ? { author } : {}),
    ...(typeof date === "string" ? { date: date.slice(0, 10) } : {}),
    ...(typeof id === "string" ? { id } : {}),
    neuronpedia: rest,
  };
}
