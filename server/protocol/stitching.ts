/**
 * Stitching across processes: which latents of a wide SAE say something new and which are latents of a narrow SAE on the
 * same hook point again. Leask et al. 2025, arXiv:2502.04878, section 4. Plain data and typed arrays.
 */

/**
 * Above this cosine of decoder rows a wide latent counts as a reconstruction of a narrow one, by the fast rule. The paper's
 * choice for GPT-2; where inserting latents was measured, the agreement of both rules is shown beside it.
 */
export const cosineRule = 0.7;

/** Every wide latent beside the narrow latents, by cosine of decoder rows. */
export interface Relation {
  readonly wide: string;
  readonly narrow: string;
  /** For each wide latent the largest cosine, and the narrow latent that has it. */
  readonly best: Float32Array;
  readonly bestRow: Int32Array;
  /** For each narrow latent the largest cosine, and the wide latent that has it. */
  readonly bestBack: Float32Array;
  readonly bestBackRow: Int32Array;
  /** Wide latent w owns the narrow latents above the rule, offsets[w] … offsets[w + 1] − 1, most similar first. */
  readonly offsets: Int32Array;
  readonly rows: Int32Array;
  readonly cosines: Float32Array;
}

/** What a wide latent is to a narrow SAE, by the cosine rule. */
export interface Counterpart {
  readonly narrow: string;
  readonly novel: boolean;
  readonly cosine: number;
  /** Narrow latents above the rule, most similar first; for a novel latent the most similar one. */
  readonly latents: readonly number[];
}

/** The part of the reader's table that is about pairs of SAEs. */
export interface StitchReaderMethods {
  /** Computed in short pieces behind everything urgent, and kept in the cache by the hashes of both SAEs' weights. */
  relation(params: { wide: string; narrow: string }): Relation;
}

/** One latent of a relation. */
export function counterpartOf(relation: Relation, latent: number): Counterpart {
  const cosine = relation.best[latent] ?? 0;
  const novel = cosine <= cosineRule;
  const above = relation.rows.subarray(relation.offsets[latent], relation.offsets[latent + 1]);
  const latents = novel ? [relation.bestRow[latent] ?? 0] : [...above];
  return { narrow: relation.narrow, novel, cosine, latents };
}

/** `novel` or `reconstruction of #12, #407 (cos 0.83)`. */
export function counterpartText({ novel, latents, cosine }: Counterpart): string {
  const figure = `cos ${cosine.toFixed(2)}`;
  if (novel) return `novel (nearest #${latents[0] ?? 0}, ${figure})`;
  const shown = latents.slice(0, 2).map((it) => `#${it}`);
  const more = latents.length - shown.length;
  return `reconstruction of ${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""} (${figure})`;
}
