/**
 * Toy runs as they cross processes: what is asked of one, what it found, and what the page "Toy Models" may call.
 * `server/toy` says what each figure means and where it comes from.
 */

/** The architectures that a toy run can train. */
export const toyArchitectures = [
  "standard",
  "topk",
  "batchtopk",
  "matryoshka",
  "jumprelu",
  "gated",
] as const;

/** One of them. */
export type ToyArchitecture = (typeof toyArchitectures)[number];

/** Architectures whose sparsity is bought by a coefficient (`l1`); the others have `k`. */
export const coefficientArchitectures: readonly ToyArchitecture[] = [
  "standard",
  "jumprelu",
  "gated",
];

/** What a toy run can be asked to do in short: the options of the command line and the knobs of the page. */
export interface ToyKnobs {
  /** Number of features. */
  readonly features?: number;
  /** Features that are parents, and children of each. */
  readonly parents?: number;
  readonly children?: number;
  /** How far children need their parent: 0 independent of it, 1 never without it. */
  readonly hierarchy?: number;
  /** How far the two of a pair go together: 0 independent, 1 always. */
  readonly coOccurrence?: number;
  readonly architecture?: ToyArchitecture;
  /** Weight of the sparsity penalty: L1 for standard and gated, L0 for JumpReLU. */
  readonly l1?: number;
  /** Active latents of a row, for TopK, BatchTopK and Matryoshka. */
  readonly k?: number;
  readonly tied?: boolean;
  /** Weight of the penalty on directions that an adversarial meta-SAE explains; 0 for none. */
  readonly adversary?: number;
  /** Number of latents. */
  readonly latents?: number;
  readonly steps?: number;
  readonly seed?: number;
}

/** How often a feature is active together with another one, beyond chance. */
export interface ToyLink {
  /** Index of the other feature: the parent, or the first of a pair. */
  readonly with: number;
  readonly kind: "child" | "pair";
  /** 0: independent; 1: as often together as both frequencies allow. */
  readonly strength: number;
}

/** A feature, and what became of it. */
export interface ToyFeature {
  readonly name: string;
  /** Share of rows in which it is meant to be active, and was. */
  readonly frequency: number;
  readonly measuredFrequency: number;
  readonly link?: ToyLink;
  /** The latent that the matching gives it; null where there are fewer latents than features. */
  readonly latent: number | null;
  /** Cosine of its direction and that latent's row of W_dec, and column of W_enc. */
  readonly cosine: number | null;
  readonly encoderCosine: number | null;
  /** The largest cosine over all latents, matched or not. */
  readonly maxCosine: number;
  /** Share of its rows in which that latent is active; share of that latent's rows in which it is. Null: no such rows. */
  readonly recall: number | null;
  readonly precision: number | null;
  /** Further latents that stand for parts of it. */
  readonly splitInto: readonly number[];
}

/** What children, or the other of a pair, do to a feature. */
export interface ToyAbsorption {
  /** Index of the parent, or of the first of a pair. */
  readonly parent: number;
  readonly children: readonly number[];
  readonly kind: "child" | "pair";
  /** Share of the rows with the parent and none of the children in which the parent's latent is active. */
  readonly recallAlone: number | null;
  /** Rows with the parent and a child. */
  readonly rows: number;
  /** Shares of these rows: absorbed; parent's latent silent for whatever reason. Null: no latent tracks the parent, or no such rows. */
  readonly absorbed: number | null;
  readonly silent: number | null;
  /** Mean share of the parent's magnitude that latents of children reconstruct in these rows. */
  readonly carried: number | null;
}

/** Curves over steps. */
export interface ToyCurve {
  readonly steps: readonly number[];
  readonly loss: readonly number[];
  readonly l0: readonly number[];
}

/** What a toy run found. */
export interface ToyResult {
  readonly schemaVersion: 1;
  /** The complete config: running it again gives the same figures. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly features: readonly ToyFeature[];
  readonly parents: readonly ToyAbsorption[];
  /** `[features, d_sae]`: cosines of feature directions with rows of W_dec, and with columns of W_enc. */
  readonly cosines: readonly (readonly number[])[];
  readonly encoderCosines: readonly (readonly number[])[];
  /** Share of rows in which each latent is active. `[d_sae]` */
  readonly densities: readonly number[];
  /** Mean matched cosine, over all features; mean largest cosine; share of features matched with cosine 0.9 or more. */
  readonly recovery: {
    readonly matchedCosine: number;
    readonly meanMaxCosine: number;
    readonly recovered: number;
  };
  /** Means over the parents that some latent tracks; null where there is none. */
  readonly absorption: { readonly absorbed: number | null; readonly carried: number | null };
  /** Share of features that are split over several latents. */
  readonly split: number;
  readonly sae: {
    readonly l0: number;
    /** Mean number of features that are active in a row. */
    readonly trueL0: number;
    readonly fvu: number;
    /** Latents that were never active on the rows that were measured. */
    readonly dead: number;
  };
  readonly curve: ToyCurve;
  readonly seconds: number;
}

/** How far a toy run is. */
export interface ToyProgress {
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly l0: number;
}

/** The part of the page table that is about toy runs. */
export interface ToyMethods {
  /** Trains a toy SAE in a process of its own and measures it. Cancelling ends the process. */
  runToy(params: ToyKnobs): ToyResult;
}

/** Events from the host to the page. */
export interface ToyPageEvents {
  /** How far the run is that was asked for last. `fraction`: share of its steps. */
  progress: { text: string; fraction: number };
}
