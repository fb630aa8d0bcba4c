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

/** How the cosine rule and a measured effect of inserting latents go together. */
export interface Agreement {
  /** Latents whose effect is known. */
  readonly latents: number;
  readonly bothNovel: number;
  readonly bothReconstruction: number;
  readonly novelByCosineOnly: number;
  readonly novelByEffectOnly: number;
  /** Share of latents on which both say the same. */
  readonly agreement: number;
  /** Probability that a latent that is novel by its effect has a smaller cosine than one that is not; null if all are alike. */
  readonly auc: number | null;
  /** The cosine at which both would agree most for this pair, and on which share of latents they would. */
  readonly bestCosine: number;
  readonly bestAgreement: number;
}

/** Which latents are novel: by the cosine rule, or by the effect on the squared error where a latent fired on the sample. */
export type Rule = "cosine" | "effect";

/** A point of the way from the narrow SAE to the wide one. */
export interface PathPoint {
  readonly phase: "start" | "insert" | "swap" | "rest";
  /** Wide latents that are in, narrow latents that are out. */
  readonly inserted: number;
  readonly removed: number;
  /** Mean of ‖x − x_hat‖² over tokens, without position 0. */
  readonly mse: number;
  readonly fvu: number;
  readonly l0: number;
  /** Mean −ln p(next token) with the reconstruction spliced in; null where it was not measured. */
  readonly ce: number | null;
}

/** What a comparison of two SAEs on a sample of text found. */
export interface StitchReport {
  readonly narrow: string;
  readonly wide: string;
  readonly hook: string;
  readonly rule: Rule;
  /** Tokens of the sample, without those at position 0. */
  readonly tokens: number;
  /** Cross-entropy of the untouched model on the sample; null where it was not measured. */
  readonly cleanCe: number | null;
  /** What is not quite as asked: measured thresholds, no cross-entropy at this hook point. */
  readonly notes: readonly string[];
  /** By wide latent. */
  readonly latents: {
    /** Largest cosine with a narrow latent, and that latent. */
    readonly cosine: Float32Array;
    readonly nearest: Int32Array;
    /** Tokens of the sample on which it fires. */
    readonly fired: Int32Array;
    /** What the mean squared error changes by when it is inserted; 0 where it never fires. */
    readonly deltaMse: Float32Array;
    /** The component that it would be swapped with; −1 for none. */
    readonly component: Int32Array;
    /** What the cross-entropy changes by when it is inserted, on sequences in which it fires; NaN where not measured. */
    readonly deltaCe: Float32Array;
  };
  readonly components: readonly {
    readonly wide: number[];
    readonly narrow: number[];
    readonly cosine: number;
  }[];
  readonly byMse: Agreement;
  readonly byCe: Agreement;
  readonly path: readonly PathPoint[];
}

/** What is measured. */
export interface StitchParams {
  readonly narrow: string;
  readonly wide: string;
  readonly lm: string;
  /** Text files or folders; the sample text of the workbench where there are none. */
  readonly files: readonly string[];
  readonly tokens: number;
  readonly rule: Rule;
  /** Latents whose effect on the cross-entropy is measured, spread over the cosines. */
  readonly ceLatents: number;
  /** Points of each phase of the path. */
  readonly points: number;
}

/** Which latents a stitched SAE is made of. */
export interface StitchChoice {
  /** Wide latents that go in: none, all that are novel by the rule, or these. */
  readonly insert: "none" | "novel" | readonly number[];
  /** Components that are swapped: none, all, those of these wide latents; "everything" gives the wide SAE. */
  readonly swap: "none" | "reconstruction" | "everything" | readonly number[];
}

/** A stitched SAE on disk. */
export interface StitchedSae {
  readonly folder: string;
  readonly d_sae: number;
  readonly inserted: number;
  readonly removed: number;
  readonly fit: Omit<PathPoint, "phase" | "inserted" | "removed">;
}

/** The part of the reader's table that is about pairs of SAEs. */
export interface StitchReaderMethods {
  /** Computed in short pieces behind everything urgent, and kept in the cache by the hashes of both SAEs' weights. */
  relation(params: { wide: string; narrow: string }): Relation;
  /** Measures a pair on text, in pieces; takes seconds to minutes. */
  stitch(params: StitchParams): StitchReport;
  /** How far a measurement is that `stitch` was asked for: a share and a word; 1 if none is under way. */
  stitchProgress(params: Record<string, never>): { share: number; text: string };
  /** Writes a stitched SAE in SAELens's format into a new or empty folder. */
  writeStitched(params: StitchParams & StitchChoice & { folder: string }): StitchedSae;
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
