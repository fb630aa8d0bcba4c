/** What may be asked of a reader about causes: attribution to latents, and interventions on them. Part of `ReaderMethods`. */
import type { ContextSource } from "./context.ts";

/**
 * Positions of a token sequence, BOS included: all but the first, those of the text but the first, those that are written after it, or
 * ranges [from, to).
 */
export type TokenPositions =
  "all" | "prompt" | "generated" | readonly (readonly [from: number, to: number])[];

/** A next token by its id or its text, which must be one token. */
export type TokenName = { readonly id: number } | { readonly text: string };

/** The number that is attributed. */
export type AttributionTarget =
  /** Logit of the token that is most likely next. */
  | { readonly kind: "top"; readonly minus?: TokenName }
  /** Logit of the token that follows in the text. */
  | { readonly kind: "next"; readonly minus?: TokenName }
  /** Logit of a token; with `minus` its logit less another's. */
  | { readonly kind: "token"; readonly token: TokenName; readonly minus?: TokenName }
  /** Projection of the residual at a hook point on a direction, as of a probe. */
  | { readonly kind: "direction"; readonly hook: string; readonly vector: Float32Array };

/** What to attribute. */
export interface AttributeParams {
  readonly lm: string;
  readonly sae: string;
  readonly meta?: string;
  readonly context: ContextSource;
  /** The position whose next token is attributed; negative ones count from the end. */
  readonly position: number;
  readonly target: AttributionTarget;
  /** Positions whose latents are asked about. */
  readonly positions: TokenPositions;
  readonly method: "gradient" | "integrated";
  readonly steps: number;
  /** Latents returned at most, strongest first. */
  readonly top: number;
  /** How many of the strongest are checked by really ablating them. */
  readonly ablations: number;
  /** Name under which progress is told. */
  readonly progress?: string;
}

/** A token by id and text. */
export interface NamedToken {
  readonly id: number;
  readonly text: string;
}

/** A next token with its probability. */
export interface LikelyToken extends NamedToken {
  readonly probability: number;
}

/** A latent at a position. */
export interface AttributedLatent {
  readonly position: number;
  readonly latent: number;
  readonly activation: number;
  readonly gradient: number;
  readonly attribution: number;
  /** The fall of the number when the latent is ablated there, where it was checked. */
  readonly effect?: number;
}

/** A meta-latent over all positions asked about. */
export interface AttributedMetaLatent {
  readonly metaLatent: number;
  readonly attribution: number;
  readonly through: readonly { readonly latent: number; readonly attribution: number }[];
}

/** The answer to `attribute`. */
export interface AttributionReading {
  readonly sae: string;
  readonly hook: string;
  /** Tokens of the sequence as the model saw it, up to `position`. */
  readonly tokens: readonly NamedToken[];
  /** Tokens of the context that were left out after BOS, because the model reads no more. */
  readonly left: number;
  readonly position: number;
  /** The likeliest next tokens. */
  readonly next: readonly LikelyToken[];
  /** In words: `logit of " Rome"`. */
  readonly metric: string;
  readonly method: "gradient" | "integrated";
  readonly steps: number;
  /** The number as it is. */
  readonly value: number;
  /** The number without latents and error at the positions asked about. */
  readonly baseline: number;
  /** Σ of all attributions; equals value − baseline as far as the method is exact. */
  readonly sum: number;
  readonly latents: readonly AttributedLatent[];
  /** How many latents were active at the positions asked about, and Σ over those not in `latents`. */
  readonly activeLatents: number;
  readonly others: number;
  /** To the SAE's error at each position asked about. */
  readonly error: readonly { readonly position: number; readonly attribution: number }[];
  readonly meta?: {
    readonly id: string;
    readonly latents: readonly AttributedMetaLatent[];
    /** What meta-latents leave of the latents' attribution. */
    readonly rest: number;
  };
  /** Pearson's correlation of attributions with effects over the checked latents. */
  readonly correlation?: number;
  readonly problems: readonly string[];
}

/** What is done to a quantity: c + amount, amount, c · amount, 0. */
export type SteerMode = "add" | "clamp" | "scale" | "ablate";

/** One intervention. */
export interface SteerStep {
  readonly target:
    | { readonly kind: "latent"; readonly latent: number }
    | { readonly kind: "meta-latent"; readonly latent: number }
    | { readonly kind: "direction"; readonly vector: Float32Array }
    /** Mean residual over the tokens of some texts less that of others. */
    | {
        readonly kind: "contrast";
        readonly towards: readonly string[];
        readonly away: readonly string[];
      };
  readonly mode: SteerMode;
  readonly amount: number;
}

/** How to steer. */
export interface SteerParams {
  readonly lm: string;
  readonly sae?: string;
  readonly meta?: string;
  /** Where directions are added if no SAE says so. */
  readonly hook?: string;
  readonly context: ContextSource;
  /** The last position that is read; what is written follows it. Default: the last of the text. */
  readonly position?: number;
  readonly steps: readonly SteerStep[];
  readonly positions: TokenPositions;
  /** False: what the SAE does not explain is left out where it steers. */
  readonly keepError: boolean;
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly seed: number;
  readonly progress?: string;
}

/** One side of a comparison. */
export interface SteeredSide {
  /** What the model writes after the text. */
  readonly text: string;
  readonly ids: Int32Array;
  /** Mean −ln p(next token) over the text, NaN for a text of one token. */
  readonly loss: number;
  /** Most likely tokens after the text. */
  readonly next: readonly { readonly text: string; readonly probability: number }[];
}

/** The answer to `steer`. */
export interface SteeringReading {
  readonly hook: string;
  /** The text that was read, as the tokenizer writes it. */
  readonly prompt: string;
  readonly tokens: readonly NamedToken[];
  /** In words, one line for each step. */
  readonly steps: readonly string[];
  readonly original: SteeredSide;
  readonly steered: SteeredSide;
  /** KL(original ‖ steered) of the next token at each position. */
  readonly divergence: Float64Array;
  /** −ln p(next token) at each position, NaN at the last. */
  readonly originalLoss: Float32Array;
  readonly steeredLoss: Float32Array;
  readonly problems: readonly string[];
}

/** The methods. */
export interface InterventionMethods {
  /** Which active latents a next token hangs on. */
  attribute(params: AttributeParams): AttributionReading;
  /** The text and what the model writes after it, with and without interventions. */
  steer(params: SteerParams): SteeringReading;
}

/** The reader's event that tells how far a call with `progress` is. */
export interface ReaderProgress {
  readonly progress: string;
  readonly text: string;
  readonly fraction: number;
}
