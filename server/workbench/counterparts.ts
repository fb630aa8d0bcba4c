/** A latent's like in other SAEs on the same hook point, by the cosine of decoder rows, as far as they were compared by now. */
import type { CounterpartRow } from "../protocol/explorer.ts";
import type { SaeInfo } from "../protocol/reader.ts";
import type { Relation } from "../protocol/stitching.ts";
import type { DecoderFacts } from "./decoder-facts.ts";

/** Latents that are listed of one SAE. */
const most = 10;

type Like = CounterpartRow["latents"][number];

/** One row for each other SAE that says something; those that were not compared yet are compared in the background. */
export function counterpartsOf(
  { sae, latent, saes }: { sae: SaeInfo; latent: number; saes: readonly SaeInfo[] },
  facts: DecoderFacts,
  labelOf: (sae: SaeInfo, latent: number) => string | undefined,
): CounterpartRow[] {
  const named = (other: SaeInfo, it: number, value: number): Like => {
    const label = labelOf(other, it);
    return { latent: it, value, ...(label === undefined ? {} : { label }) };
  };
  return saes
    .filter((it) => it.hook === sae.hook && it.d_out === sae.d_out && it.d_sae !== sae.d_sae)
    .flatMap((other): CounterpartRow[] => {
      const isNarrower = other.d_sae < sae.d_sae;
      const relation = isNarrower
        ? facts.relation(sae.id, other.id)
        : facts.relation(other.id, sae.id);
      if (!relation) return [];
      const like = isNarrower ? narrowOf(relation, latent) : wideOf(relation, latent);
      if (like.length === 0 && !isNarrower) return [];
      const nearest = [relation.bestRow[latent] ?? 0, relation.best[latent] ?? 0] as const;
      const kind = !isNarrower ? "source" : like.length > 0 ? "reconstruction" : "novel";
      const shown = like.length > 0 ? like.slice(0, most) : [nearest];
      return [{ sae: other.id, kind, latents: shown.map((it) => named(other, ...it)) }];
    });
}

/** The narrow latents above the rule of a wide one, with their cosines, most similar first. */
function narrowOf(relation: Relation, wide: number): (readonly [number, number])[] {
  const [from, to] = [relation.offsets[wide] ?? 0, relation.offsets[wide + 1] ?? 0];
  return [...relation.rows.subarray(from, to)].map(
    (row, at) => [row, relation.cosines[from + at] ?? 0] as const,
  );
}

/** The wide latents that have a narrow one above the rule, with their cosines, most similar first. */
function wideOf(relation: Relation, narrow: number): (readonly [number, number])[] {
  const found: (readonly [number, number])[] = [];
  for (let wide = 0; wide + 1 < relation.offsets.length; wide++)
    for (const [row, cosine] of narrowOf(relation, wide))
      if (row === narrow) found.push([wide, cosine]);
  return found.toSorted((a, b) => b[1] - a[1]);
}
