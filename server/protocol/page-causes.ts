/** What pages and the editor's client may ask about causes. Part of `PageMethods`; plain data that JSON carries. */
import type {
  AttributionReading,
  SteeredSide,
  SteeringReading,
  SteerMode,
  TokenPositions,
} from "./interventions.ts";

/** What is attributed at a token: the logit of the likeliest next token, of the one that follows, or of one by its id. */
export type PageTarget =
  | { readonly kind: "top" | "next"; readonly minus?: { readonly id: number } }
  | {
      readonly kind: "token";
      readonly token: { readonly id: number };
      readonly minus?: { readonly id: number };
    };

/** A token of the sequence with its range in the file, UTF-16; inserted tokens have none. */
export interface AttributionToken {
  readonly id: number;
  readonly text: string;
  readonly startOffset?: number;
  readonly endOffset?: number;
}

/** An attribution as a page shows it: with labels, and with the way back to the file. */
export interface AttributionView extends Omit<AttributionReading, "tokens"> {
  readonly uri: string;
  readonly lm: string;
  /** Version of the document that was read. */
  readonly version: number;
  readonly tokens: readonly AttributionToken[];
  /** Labels by latent and by meta-latent; those without one are absent. */
  readonly labels: Readonly<Record<number, string>>;
  readonly metaLabels: Readonly<Record<number, string>>;
}

/** What is asked about a token of a document. */
export interface AttributeNext {
  readonly uri: string;
  readonly context: number;
  readonly index: number;
  readonly sae?: string;
  readonly target: PageTarget;
  readonly method: "gradient" | "integrated";
  readonly steps: number;
  /** How many of the strongest latents are checked by ablating them. */
  readonly ablations: number;
}

/** One thing that is done to the model. */
export interface PageSteerStep {
  readonly kind: "latent" | "meta-latent";
  readonly latent: number;
  readonly mode: SteerMode;
  readonly amount: number;
}

/** How a document's text is steered. */
export interface SteerText {
  readonly uri: string;
  readonly context: number;
  /** The token after which the model writes on; the context's last by default. */
  readonly index?: number;
  readonly sae?: string;
  readonly steps: readonly PageSteerStep[];
  readonly positions: TokenPositions;
  readonly keepError: boolean;
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly seed: number;
}

/** One side as plain data. */
export type SteeredText = Omit<SteeredSide, "ids" | "loss"> & { readonly loss: number | null };

/** The answer: both texts, and the figures between them. */
export interface SteeringView extends Pick<
  SteeringReading,
  "hook" | "prompt" | "steps" | "problems"
> {
  readonly lm: string;
  readonly sae: string;
  readonly original: SteeredText;
  readonly steered: SteeredText;
  /** KL(original ‖ steered) of the next token: on average over the text, and after it. */
  readonly meanDivergence: number;
  readonly lastDivergence: number;
}

/** The methods. */
export interface CauseMethods {
  /** Which latents the next token of a document's token hangs on; progress by LSP `$/progress`. */
  attributeNext(params: AttributeNext): AttributionView;
  /** What the model writes after a document's text, with and without interventions; progress as above. */
  steerText(params: SteerText): SteeringView;
}

/** What an attribution page may ask of its host beside `attributeNext`. */
export interface AttributionHostMethods {
  /** What the page is about. */
  start(params: Record<string, never>): AttributeNext;
  /** Shows a token in the editor. */
  reveal(params: { uri: string; startOffset: number; endOffset: number }): null;
  /** Pins a latent. */
  pin(params: { sae: string; latent: number }): null;
  /** Asks how to steer with a latent or meta-latent, and does it. */
  steer(params: { sae: string; kind: PageSteerStep["kind"]; latent: number }): null;
}

/** Events to an attribution page. */
export interface AttributionEvents {
  /** Another token was asked about. */
  ask: AttributeNext;
  /** How far the answer is. */
  progress: { text: string; percentage?: number };
}
