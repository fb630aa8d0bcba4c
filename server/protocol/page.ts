/**
 * What pages and the editor's client may ask of the server, carried by the LSP request `latentWorkbench/page`
 * as `{method, params}`. Pages ask by range and draw; they never get a model or a whole file.
 */
import type { ComparisonMethods } from "./comparison.ts";
import type { DecoderPageMethods } from "./decoder-pages.ts";
import type { DecompositionMethods } from "./decompositions.ts";
import type { CauseMethods } from "./page-causes.ts";
import type { ExplainMethods } from "./explain.ts";
import type { ExplorerMethods } from "./explorer.ts";
import type { ExportMethods } from "./export.ts";
import type { FindMethods } from "./find.ts";
import type { AbsorptionMethods, TokenAbsorption } from "./absorption.ts";
import type { OccurrenceMethods } from "./occurrences.ts";
import type { SweepMethods } from "./absorption-sweep.ts";
import type { PinMethods, ShownPin } from "./pins.ts";
import type { RunMethods } from "./runs.ts";
import type { Counterpart } from "./stitching.ts";
import type { ToyMethods } from "./toy.ts";

/** How a token strip is coloured. */
export type HeatMode = "activation" | "pinned" | "l0" | "error" | "loss";

/** An SAE as a page lists it. */
export interface PageSae {
  readonly id: string;
  readonly hook: string;
  readonly d_sae: number;
  readonly badges: readonly string[];
  readonly selfCheck?: {
    tokens: number;
    l0: number;
    fvu: number;
    deadShare: number;
    warnings: readonly string[];
  };
}

/** A document as the text page opens it. */
export interface TextOverview {
  readonly uri: string;
  readonly version: number;
  readonly lm?: string;
  readonly saes: readonly PageSae[];
  readonly device?: string;
  readonly contexts: readonly { index: number; title: string; tokens: number }[];
  readonly pinned: readonly ShownPin[];
  readonly problems: readonly string[];
  /** "off": the file is not analysed; the page offers to switch it on. */
  readonly state: "ready" | "working" | "off" | "failed";
}

/** A latent whose heat the user asked to see. */
export interface PinnedLatent {
  readonly sae: string;
  readonly latent: number;
  readonly label?: string;
}

/** One token of the strip. */
export interface PageToken {
  readonly index: number;
  readonly id: number;
  readonly text: string;
  readonly special: boolean;
  readonly inserted: boolean;
  /** In [0, 1], for colouring. */
  readonly heat: number;
  /** The number of a pin's colour, where a pinned latent gives the heat. */
  readonly colour?: number;
  /** The figure behind the heat, in its own units; null where it does not exist. */
  readonly value: number | null;
  /** Offsets in the file, UTF-16; absent for inserted tokens. */
  readonly startOffset?: number;
  readonly endOffset?: number;
  /** What a screen reader says. */
  readonly description: string;
}

/** A latent at a token. */
export interface CardLatent {
  readonly latent: number;
  readonly activation: number;
  /** Activation over the largest seen. */
  readonly share: number;
  readonly label?: string;
  /** Strongest next-token effects, given for latents without a label. */
  readonly logitEffects?: readonly string[];
  readonly dense: boolean;
  /** Meta-latents of this latent, if a meta-SAE of its SAE is loaded; `share`: of the latent's direction. */
  readonly metaLatents?: readonly {
    latent: number;
    activation: number;
    share: number;
    label?: string;
    /** Made of labels of latents that it is part of. */
    derivedLabel?: string;
  }[];
  /** Share of the latent's direction that its meta-latents explain together. */
  readonly metaExplained?: number;
  /** What this latent is to a narrower SAE on the same hook point, once that is known. */
  readonly counterpart?: Counterpart;
}

/** All about one token under one SAE. */
export interface TokenCard {
  readonly version: number;
  readonly context: number;
  readonly index: number;
  readonly id: number;
  readonly text: string;
  readonly position: number;
  readonly tokensInContext: number;
  readonly special: boolean;
  readonly byteOfCharacter?: string;
  readonly sae: string;
  readonly hook: string;
  readonly device: string;
  readonly l0: number;
  readonly squaredError: number;
  readonly inputNorm: number;
  readonly latents: readonly CardLatent[];
  /** Verdicts of prepared labelled tasks; empty where none applies. */
  readonly absorption?: readonly TokenAbsorption[];
  readonly startOffset?: number;
  readonly endOffset?: number;
}

/** Next-token figures of one token. */
export interface TokenPredictions {
  readonly nextTokenLoss: number | null;
  readonly top: readonly { text: string; probability: number }[];
}

/** The state that the status bar shows for a document. */
export interface DocumentStatus {
  readonly uri: string;
  readonly state: "ready" | "working" | "off" | "failed";
  readonly lm?: string;
  readonly saes: readonly string[];
  readonly device?: string;
  /** One sentence: what is going on or what went wrong. */
  readonly text: string;
}

/** A coloured stretch of a file for decorations; heat in [0, 1], offsets by line and character. */
export interface HeatSpan {
  readonly startLine: number;
  readonly startCharacter: number;
  readonly endLine: number;
  readonly endCharacter: number;
  readonly heat: number;
  readonly value: number;
  /** Of pinned latents: the colour of the one that is strongest by its own scale, and those of the others that fire here. */
  readonly colour?: number;
  readonly also?: readonly number[];
}

/** The table. */
export interface PageMethods
  extends
    RunMethods,
    PinMethods,
    ExportMethods,
    ToyMethods,
    CauseMethods,
    ComparisonMethods,
    ExplorerMethods,
    ExplainMethods,
    FindMethods,
    DecoderPageMethods,
    AbsorptionMethods,
    SweepMethods,
    OccurrenceMethods,
    DecompositionMethods {
  overview(params: { uri: string }): TextOverview;
  tokens(params: {
    uri: string;
    context: number;
    from: number;
    to: number;
    sae?: string;
    mode: HeatMode;
  }): { version: number; tokens: PageToken[]; scale: { min: number; max: number; unit: string } };
  /** `top`: how many latents; all when absent. */
  tokenCard(params: {
    uri: string;
    context: number;
    index: number;
    sae?: string;
    top?: number;
  }): TokenCard;
  predictions(params: { uri: string; context: number; index: number }): TokenPredictions;
  /** The token at an offset of the file, for following the editor's selection. */
  tokenAt(params: { uri: string; offset: number }): { context: number; index: number } | null;
  /** The editor's selection, so that a hover inside it reads the selected tokens as one; empty for none. */
  select(params: { uri: string; startOffset: number; endOffset: number }): null;
  pin(params: { sae: string; latent: number }): null;
  unpin(params: { sae: string; latent: number }): null;
  status(params: { uri: string }): DocumentStatus;
  /** Switches analysis of one file on or off (undefined: by the settings' patterns again). */
  switchFile(params: { uri: string; on?: boolean }): null;
  /** Heat of the pinned latent (or strongest activation) within lines, for decorations. */
  heat(params: { uri: string; fromLine: number; toLine: number; mode: HeatMode }): {
    version: number;
    spans: HeatSpan[];
  };
  /**
   * LMs and SAEs that are loaded, found in the cache or bundled, for the pickers. Those in use are read by documents
   * without front matter of their own; others may be loaded for a document's front matter.
   */
  available(params: Record<string, never>): {
    lms: { id: string; path: string; detail: string; loaded: boolean; inUse: boolean }[];
    saes: { id: string; path: string; detail: string; loaded: boolean; inUse: boolean }[];
  };
  /** Uses this LM and these SAEs from now on (all documents without front matter of their own). */
  use(params: { lm?: string; saes?: string[] }): null;
  /** Downloads a repository's files into the Hub cache; progress by LSP `$/progress`. */
  download(params: { repo: string; revision?: string; files?: string[]; token?: string }): {
    folder: string;
  };
  restartReader(params: { reason: string }): null;
  doctor(params: Record<string, never>): { text: string };
}

/** Notification server -> client, `latentWorkbench/changed`: something about these documents is new; ask again. */
export interface ChangedParams {
  readonly uris: readonly string[];
  readonly status: readonly DocumentStatus[];
}

/** Steps of the heat scale: each has a theme colour `latentWorkbench.heat1` … `latentWorkbench.heat5`. */
export const heatSteps = 5;

/** The colour step of a heat in [0, 1]: 0 is uncoloured, `heatSteps` the strongest. */
export function heatStep(heat: number): number {
  if (!(heat > 0)) return 0;
  return Math.min(heatSteps, Math.ceil(heat * heatSteps));
}

/** What a page may ask of its host, the editor's client, beside those of `PageMethods` that the host passes on. */
export interface PageHostMethods {
  /** The first call of a page: which document it shows, and the token at the editor's cursor, if any. */
  start(params: Record<string, never>): {
    uri: string;
    name: string;
    selection: { context: number; index: number } | null;
  };
  /** Selects a range of the file (UTF-16 offsets) in an editor and scrolls to it; the page keeps the focus. */
  reveal(params: { uri: string; startOffset: number; endOffset: number }): null;
  /** Runs one of the client's own commands. */
  runCommand(params: { command: PageCommand }): null;
}

/** The client's commands that a page may run. */
export type PageCommand = "showLog" | "restartReader" | "chooseLm" | "chooseSaes" | "doctor";

/** Events from the host to a page. */
export interface PageEvents {
  /** Something about the page's document is new: ask again what is shown. */
  changed: { uri: string };
  /** The editor's cursor went to this token. */
  selection: { context: number; index: number };
}
