/**
 * What pages and the editor's client may ask about latents and their index. Part of the table `PageMethods`. Lists are asked
 * by range; an index never crosses, only the rows that are shown.
 */

import type { LabelScores } from "./explain.ts";

/** An SAE as the explorer offers it. */
export interface ExplorerSae {
  readonly id: string;
  readonly d_sae: number;
  readonly hook: string;
  readonly lm: string;
  readonly architecture: string;
  /** Set for a meta-SAE: the SAE whose decoder rows it reads. */
  readonly metaOf?: string;
  readonly labels: number;
  readonly index?: ExplorerIndex;
  /** Why an index that was found is not used. */
  readonly problem?: string;
}

/** An index in words. */
export interface ExplorerIndex {
  readonly folder: string;
  readonly tokens: number;
  readonly counted: number;
  readonly files: readonly string[];
  readonly builtAt: string;
  /** Latents that are active somewhere in the corpus. */
  readonly active: number;
}

/** What is looked for among the latents of an SAE. */
export type LatentQuery =
  | { readonly kind: "all"; readonly order: "latent" | "density" | "max" }
  /** Every word of it stands in the label. */
  | { readonly kind: "label"; readonly text: string }
  /** Best detectors of a token, by the index. */
  | { readonly kind: "token"; readonly text: string }
  /** Nearest by decoder rows, by the index. */
  | { readonly kind: "similar"; readonly latent: number }
  /** Active on a stretch of an open document, strongest first. */
  | {
      readonly kind: "selection";
      readonly uri: string;
      readonly startOffset: number;
      readonly endOffset: number;
    }
  /** What a search by examples found, best first. */
  | { readonly kind: "found"; readonly search: string };

/** A latent in a list. */
export interface LatentItem {
  readonly latent: number;
  readonly label?: string;
  /** Tokens on which it fires most, for latents without a label. */
  readonly tokens?: readonly string[];
  /** Share of the corpus's tokens on which it is active. */
  readonly density?: number;
  readonly max?: number;
  /** Figure of the search: cosine, correlation, activation. */
  readonly score?: number;
  /** What else the search says of it, in words. */
  readonly note?: string;
}

/** A label with where it comes from. */
export interface LatentLabel {
  readonly text: string;
  /** Of the labels folder, of `latents.jsonc`, or beside the weights. */
  readonly from: "labels" | "latents.jsonc" | "sae";
  readonly author?: string;
  readonly date?: string;
  /** Id of an imported explanation. */
  readonly id?: string;
  /** How it was made, as Neuronpedia names it. */
  readonly type?: string;
  /** A language model made it here. */
  readonly generated?: boolean;
  /** What tests of a generated label gave. */
  readonly scores?: LabelScores;
}

/** Another latent with how near it is. */
export interface RelatedLatent {
  readonly latent: number;
  readonly value: number;
  readonly label?: string;
  /** Of how many tokens, for co-activation. */
  readonly count?: number;
}

/** All of a latent but its contexts. */
export interface LatentDashboard {
  readonly sae: string;
  readonly latent: number;
  readonly labels: readonly LatentLabel[];
  readonly pinned: boolean;
  /** `modelId/layer-sourceSet/index`, where it is known. */
  readonly neuronpediaId?: string;
  readonly logits?: {
    readonly top: readonly { text: string; value: number }[];
    readonly bottom: readonly { text: string; value: number }[];
  };
  readonly metaLatents?: { readonly meta: string; readonly parts: readonly RelatedLatent[] };
  /** Beside other SAEs in use; those not compared yet are left out, and news come when they are. */
  readonly counterparts: readonly CounterpartRow[];
  /** What the index says; absent without one. */
  readonly corpus?: {
    readonly count: number;
    readonly counted: number;
    readonly max: number;
    readonly mean: number;
    /** Tokens by |activation|, bins of equal width from 0 to max. */
    readonly histogram: readonly number[];
    readonly tokens: readonly { text: string; count: number; mean: number }[];
    readonly coactive: readonly RelatedLatent[];
    /** Tokens of this latent on which co-activation was counted. */
    readonly sampled: number;
    readonly decoder: readonly RelatedLatent[];
    readonly encoder: readonly RelatedLatent[];
    readonly quantiles: number;
  };
}

/** A stretch of a corpus or a text with a latent's activation on each token. */
export interface LatentContext {
  /** 0: among the strongest; else the quantile, 1 the weakest. */
  readonly group: number;
  /** Index of the strongest token. */
  readonly peak: number;
  readonly tokens: readonly { readonly text: string; readonly act: number }[];
}

/** A token of a file. Offsets are UTF-16 offsets of the file. */
export interface FilePlace {
  readonly uri: string;
  /** Path in the workspace; of other files the name. */
  readonly name: string;
  /** From 0. */
  readonly line: number;
  readonly startOffset: number;
  readonly endOffset: number;
  /** The token, and what stands before and after it on its line. */
  readonly text: string;
  readonly before: string;
  readonly after: string;
}

/** A token of an open document on which a latent is active. */
export interface LatentPlace extends FilePlace {
  readonly act: number;
}

/** A word of an open document at which a prepared task found absorption. */
export interface AbsorbedPlace extends FilePlace {
  readonly task: string;
  readonly label: string;
  /** The main latents, which are silent there. */
  readonly silent: readonly number[];
  /** The latent that carries most of the feature's direction in their place. */
  readonly absorber?: number;
}

/** What a latent is beside another SAE on the same hook point, by the cosine of decoder rows. */
export interface CounterpartRow {
  readonly sae: string;
  /**
   * Beside a narrower SAE "novel", with its most similar latent, or "reconstruction", with those above the cosine rule
   * (`server/protocol/stitching.ts`). Beside a wider SAE "source", with its latents above the rule.
   */
  readonly kind: "novel" | "reconstruction" | "source";
  /** By cosine, which is `value`; at most ten. */
  readonly latents: readonly RelatedLatent[];
}

/** The part of the table that is about latents. */
export interface ExplorerMethods {
  /** SAEs in use, of the document or of all. */
  explorerSaes(params: { uri?: string }): {
    lm: string;
    saes: ExplorerSae[];
    pinned: ExplorerPin[];
  };
  latents(params: { sae: string; query: LatentQuery; from: number; to: number }): {
    total: number;
    items: LatentItem[];
  };
  latentDashboard(params: { sae: string; latent: number }): LatentDashboard;
  latentContexts(params: { sae: string; latent: number }): { contexts: LatentContext[] };
  /** Where it is active in open documents that are analysed, in their order; at most `limit`. Also where it was absorbed. */
  latentPlaces(params: { sae: string; latent: number; limit: number }): {
    places: LatentPlace[];
    total: number;
    /** Where it was absorbed or absorbs, at most `limit`. */
    absorbed: AbsorbedPlace[];
  };
  /** Reads a text of one's own. */
  testLatent(params: { sae: string; latent: number; text: string }): { context: LatentContext };
  /** Writes one's own label of a latent; an empty text takes it away. */
  setLabel(params: { sae: string; latent: number; text: string }): null;
  /** Adds explanations as Neuronpedia exports them (JSON, JSON Lines, also .gz). */
  importLabels(params: { sae: string; file: string }): {
    added: number;
    changed: number;
    file: string;
  };
  /** Writes the labels of the labels folder and of `latents.jsonc` as Neuronpedia's explanations, one a line. */
  exportLabels(params: { sae: string; file: string }): { labels: number };
  /** Python that loads the SAE with SAELens and reads this latent. */
  latentAsPython(params: { sae: string; latent: number }): { text: string };
  /** Writes the run file of an index into a folder of its own; starts nothing. */
  createIndexRun(params: { sae: string; corpus: string[]; tokens: number }): { folder: string };
}

/** A pinned latent in the side bar. */
export interface ExplorerPin {
  readonly sae: string;
  readonly latent: number;
  readonly label?: string;
  /** The number of its colour. */
  readonly colour: number;
}

/** What the explorer page may ask of its host, the editor's client, beside `ExplorerMethods` that the host passes on. */
export interface ExplorerHostMethods {
  /** The first call: the latent to show, if one was asked for. */
  start(params: Record<string, never>): { sae?: string; latent?: number; query?: LatentQuery };
  /** Shows a place of a document in an editor. */
  reveal(params: { uri: string; startOffset: number; endOffset: number }): null;
  runCommand(params: {
    command: ExplorerCommand;
    sae: string;
    latent?: number;
    /** Those of the list, for commands about several. */
    latents?: number[];
  }): null;
}

/** The client's commands that the explorer page may run. */
export type ExplorerCommand =
  | "pinLatent"
  | "unpinLatent"
  | "indexCorpus"
  | "explainLatent"
  | "explainLatents"
  | "importLabels"
  | "exportLabels"
  | "copyLatentAsPython"
  | "exportLatents"
  | "copyNeuronpediaId";

/** Events from the host to the explorer page. */
export interface ExplorerPageEvents {
  /** Labels, pins, documents or indexes have news: ask again what is shown. */
  changed: Record<string, never>;
  /** Show this latent, or the answer to this query. */
  select: { sae: string; latent?: number; query?: LatentQuery };
}
