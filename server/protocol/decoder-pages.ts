/**
 * What the pages about decoders may ask: the meta-SAE explorer and stitching. Part of the table `PageMethods`. Lists are
 * asked by range; what crosses is plain JSON.
 */
import type { MetaBreakdown, MetaSummary } from "./meta.ts";
import type { AbsorptionCase } from "./occurrences.ts";
import type { Agreement, PathPoint, Rule, StitchChoice, StitchedSae } from "./stitching.ts";

/** A latent or meta-latent with what it is called. */
export interface NamedLatent {
  readonly latent: number;
  readonly label?: string;
  /** The label is made of labels of the latents that the meta-latent is part of. */
  readonly derived?: true;
}

/** A meta-SAE in use, with its parent and the narrower SAEs that it can be compared with. */
export interface MetaPair {
  readonly meta: string;
  readonly parent: string;
  readonly narrower: readonly string[];
}

/** A row of the list of meta-latents or of the parent's latents. */
export interface MetaRow extends NamedLatent {
  /** Latents that a meta-latent is part of; absent for a latent. */
  readonly members?: number;
}

/** A latent's breakdown with names. */
export interface NamedBreakdown extends Omit<MetaBreakdown, "parts">, NamedLatent {
  readonly parts: readonly (MetaBreakdown["parts"][number] & NamedLatent)[];
}

/** A member of a meta-latent. */
export interface NamedMember extends NamedLatent {
  readonly activation: number;
  readonly cosine: number;
}

/** Meta-latents beside a narrower SAE's latents, in figures. */
export interface MetaComparisonFigures {
  readonly narrow: string;
  readonly mean: number;
  readonly meanBack: number;
  readonly shuffledMean: number;
  /** Meta-latents by largest cosine, in twenty bins from 0 to 1 (below 0 in the first), and the other way. */
  readonly histogram: readonly number[];
  readonly histogramBack: readonly number[];
}

/** An SAE that may be stitched. */
export interface StitchCandidate {
  readonly id: string;
  readonly path: string;
  readonly detail: string;
}

/** What the stitching page asks to be measured. */
export interface StitchQuestion {
  /** Paths; which one is the narrow one follows from their widths. */
  readonly a: string;
  readonly b: string;
  readonly files: readonly string[];
  readonly tokens: number;
  readonly rule: Rule;
  readonly ceLatents: number;
  readonly points: number;
  /** The document whose model is meant. */
  readonly uri?: string;
}

/** What was measured, without the latents, which are asked for by range. */
export interface StitchFigures {
  readonly narrow: string;
  readonly wide: string;
  readonly hook: string;
  readonly rule: Rule;
  readonly tokens: number;
  readonly cleanCe: number | null;
  readonly notes: readonly string[];
  readonly wideLatents: number;
  readonly narrowLatents: number;
  /** Latents that fire on the sample. */
  readonly fired: number;
  readonly novelByCosine: number;
  readonly components: number;
  readonly byMse: Agreement;
  readonly byCe: Agreement;
  readonly path: readonly PathPoint[];
  /** Points of the scatter: latents that fire, thinned evenly if there are very many. */
  readonly points: {
    readonly latent: number[];
    readonly cosine: number[];
    readonly delta: number[];
  };
}

/** A wide latent as the stitching page lists it. */
export interface StitchLatent extends NamedLatent {
  readonly cosine: number;
  readonly nearest: NamedLatent;
  readonly fired: number;
  readonly deltaMse: number;
  readonly deltaCe: number | null;
  /** Latents that it would be swapped together with. */
  readonly group: number;
}

/** The part of the table that is about decoders. */
export interface DecoderPageMethods {
  metaPairs(params: { uri?: string }): MetaPair[];
  metaOverview(params: { meta: string }): MetaSummary;
  /** Meta-latents (most members first) or latents of the parent whose number or label matches, and how many there are. */
  metaSearch(params: {
    meta: string;
    of: "meta" | "parent";
    query: string;
    from: number;
    to: number;
  }): { total: number; rows: MetaRow[] };
  metaBreakdown(params: { meta: string; latent: number }): NamedBreakdown;
  metaMemberRows(params: {
    meta: string;
    latent: number;
    from: number;
    to: number;
  }): NamedLatent & {
    count: number;
    members: NamedMember[];
  };
  metaCompare(params: { meta: string; narrow: string }): MetaComparisonFigures;
  /** SAEs to choose from, and a pair to begin with. */
  stitchCandidates(params: { uri?: string }): {
    candidates: StitchCandidate[];
    a?: string;
    b?: string;
  };
  stitchMeasure(params: StitchQuestion): StitchFigures;
  stitchProgress(params: Record<string, never>): { share: number; text: string };
  /** Latents of the last measurement within ranges of cosine and of what inserting them changes the squared error by. */
  stitchLatents(params: {
    cosine: readonly [number, number];
    delta: readonly [number, number];
    sort: "deltaMse" | "cosine" | "fired" | "deltaCe";
    descending: boolean;
    from: number;
    to: number;
  }): { total: number; rows: StitchLatent[] };
  /** Writes a stitched SAE of the last measurement into a folder. */
  stitchWrite(params: StitchChoice & { folder: string }): StitchedSae;
  /** Reads texts with an SAE from now on, beside those in use; the answer is what is used then. */
  stitchUse(params: { folder: string }): { saes: string[] };
}

/** What both pages may ask of their host beside the table above. */
export interface DecoderHostMethods {
  /** The first call: the document that is meant, and the latent or the absorbed word to begin with. */
  start(params: Record<string, never>): {
    uri?: string;
    latent?: number;
    absorbed?: AbsorptionCase;
    /** Folder of a sweep. */
    sweep?: string;
  };
  /** Selects a range of a file (UTF-16 offsets) in an editor, which gets the focus. */
  reveal(params: { uri: string; startOffset: number; endOffset: number }): null;
  /** Lets the user pick text files; empty if cancelled. */
  pickTexts(params: Record<string, never>): string[];
  /** Lets the user pick a sweep's folder; undefined if cancelled. */
  pickSweep(params: Record<string, never>): { folder?: string };
  /** Lets the user pick a new folder; undefined if cancelled. */
  pickFolder(params: { name: string }): { folder?: string };
  /** Opens the page that compares levels of decomposition. */
  compareDecompositions(params: Record<string, never>): null;
  /** Reads texts with an SAE from now on, beside those in use. */
  useSae(params: { folder: string }): null;
}
