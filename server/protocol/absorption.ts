/** What absorption of an SAE on a labelled task is reported as: on the command line, in a cache, to pages and hovers. */
import type { CausalPageMethods, CausalReaderMethods, CausalReport } from "./causal-absorption.ts";

import type { SweptSae } from "./absorption-sweep.ts";

/** Where a task's words are read: in its own prompts, or wherever they stand in running text. */
export type AbsorptionSetting = "prompts" | "text";

/** A latent's part of a probe's projection: activation · cosine of its decoder row with the probe. */
export interface LatentShare {
  readonly latent: number;
  readonly activation: number;
  readonly cosine: number;
  readonly projection: number;
}

/** How well some answer says which words have a label. */
export interface AnswerScores {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

/** One word that has the label and that the probe is right about. */
export interface WordReport {
  readonly word: string;
  /** x · p / ‖p‖ */
  readonly projection: number;
  readonly mainProjection: number;
  readonly mainFires: boolean;
  readonly fraction: number;
  readonly isFull: boolean;
  readonly isPartial: boolean;
  /** The latents that carry most, at most three. */
  readonly strongest: readonly LatentShare[];
}

/** A latent that took over, and from which words. */
export interface AbsorberReport {
  readonly latent: number;
  readonly cosine: number;
  readonly words: readonly string[];
  /** Mean share of the probe's projection that it carries on these words. */
  readonly meanShare: number;
}

/** One label under one SAE. */
export interface LabelReport {
  readonly label: string;
  readonly trainWords: number;
  readonly testWords: number;
  /** The probe on words held out. */
  readonly probe: AnswerScores & { readonly auc: number; readonly calibrationError: number };
  /** F1 on words held out of the k-sparse probes, k = 1, 2, … */
  readonly f1ByK: readonly number[];
  /** The main latents, by the splitting rule. */
  readonly main: readonly {
    readonly latent: number;
    readonly cosine: number;
  }[];
  /** The probe on the main latents alone, on words held out. */
  readonly mainProbe: AnswerScores;
  /** "Any main latent fires" as an answer: against the labels, and against the probe's own answers. */
  readonly mainFires: AnswerScores;
  readonly mainFiresAgainstProbe: AnswerScores;
  /** The probe is good enough for the label to count (F1 ≥ 0.6), and so are the main latents. */
  readonly probeCounts: boolean;
  readonly hasMainLatents: boolean;
  readonly full: number;
  readonly partial: number;
  readonly fullRate: number;
  readonly partialRate: number;
  readonly meanFraction: number;
  readonly absorbers: readonly AbsorberReport[];
  readonly words: readonly WordReport[];
}

/** One SAE on one task. */
export interface AbsorptionReport {
  readonly schemaVersion: 1;
  readonly lm: string;
  readonly sae: string;
  readonly hook: string;
  readonly d_sae: number;
  /** Mean number of active latents at the held-out words. */
  readonly l0: number;
  readonly task: string;
  readonly setting: AbsorptionSetting;
  readonly rule: "sae-bench";
  /** How the directions were found. */
  readonly probe: "logistic" | "sae-bench" | "mean-difference";
  /** How the order of a label's latents was found, of which the splitting rule takes the first ones. */
  readonly selection: "mean-difference" | "sae-bench";
  readonly thresholds: Readonly<Record<string, number>>;
  readonly seed: number;
  readonly judge: "held-out" | "all";
  readonly trainWords: number;
  readonly testWords: number;
  /** Over labels that count. */
  readonly mean: {
    readonly labels: number;
    readonly probeF1: number;
    readonly mainF1: number;
    readonly mainLatents: number;
    readonly fullRate: number;
    readonly partialRate: number;
    readonly fraction: number;
    readonly standardDeviation: { readonly fullRate: number; readonly fraction: number };
  };
  readonly labels: readonly LabelReport[];
  readonly problems: readonly string[];
  /** What the paper's causal rule says, where it was asked, too. */
  readonly paper?: CausalReport;
}

/** What absorption is said to be at one token for one label. */
export interface TokenAbsorption {
  readonly token: number;
  readonly task: string;
  readonly setting: AbsorptionSetting;
  readonly verdict: "fires" | "absorbed" | "no-latent" | "not-judged";
  /** Why it was not judged. */
  readonly reason?:
    "several-tokens" | "too-few-words" | "probe-poor" | "probe-unsure" | "no-absorber";
  readonly label?: string;
  readonly probability?: number;
  readonly probeF1?: number;
  readonly mainF1?: number;
  readonly projection?: number;
  /** The main latents' part of it. */
  readonly mainProjection?: number;
  readonly fraction?: number;
  readonly isPartial?: boolean;
  readonly main?: readonly {
    readonly latent: number;
    readonly activation: number;
    readonly preActivation?: number;
    readonly threshold?: number;
  }[];
  /**
   * For an absorbed word: the first main latent's pre-activation over the probe's direction, the rows of the strongest latents besides
   * that direction, and the rest (with the bias). Cosines: of each row with the main latent's encoder, and with its decoder row.
   */
  readonly why?: {
    readonly probe: number;
    readonly rows: readonly {
      readonly latent: number;
      readonly part: number;
      readonly encoderCosine: number;
      readonly decoderCosine: number;
    }[];
    readonly rest: number;
  };
  /** The latents that carry most of the projection, at most three. */
  readonly strongest?: readonly LatentShare[];
}

/** A task that hovers judge by. */
export interface PreparedAbsorption extends SweptSae {
  readonly task: string;
  readonly setting: AbsorptionSetting;
  readonly sae: string;
  readonly report: AbsorptionReport;
}

/** What the reader is asked about absorption. */
export interface AbsorptionReaderMethods extends CausalReaderMethods {
  /**
   * Trains the probe of a task at an SAE and finds main latents, or recalls both; from then on readings of that SAE carry verdicts.
   * `labels` and `texts` as the command line has them; no texts: the bundled sample.
   */
  prepareAbsorption(params: {
    lm: string;
    sae: string;
    labels: string;
    setting: AbsorptionSetting;
    texts?: readonly string[];
    perLabel?: number;
  }): PreparedAbsorption;
  /** How far the preparation under way has come. */
  absorptionProgress(params: Record<string, never>): { share: number; text: string };
}

/** What the absorption page is told of a measurement: the report, and labels of the latents in it by their numbers. */
export interface MeasuredAbsorption extends SweptSae {
  readonly report: AbsorptionReport;
  readonly names: Readonly<Record<string, string>>;
}

/** What the absorption page asks of the server. */
export interface AbsorptionPageMethods extends CausalPageMethods {
  /** Tasks, and the SAEs in use at a document. */
  absorptionChoices(params: { uri?: string }): {
    lm: string;
    saes: { id: string; detail: string }[];
    tasks: { name: string; labels: string; detail: string }[];
  };
  /** Measures one of these SAEs in the reader; hovers judge by the task from then on. */
  measureAbsorption(params: {
    uri?: string;
    sae: string;
    labels: string;
    setting: AbsorptionSetting;
    texts?: readonly string[];
  }): MeasuredAbsorption;
  /** How far the measurement under way has come. */
  absorptionProgress(params: Record<string, never>): { share: number; text: string };
}

/** What pages and the client ask of the server about absorption. */
export interface AbsorptionMethods extends AbsorptionPageMethods {
  /** Built-in tasks and those of the workspace's `labels` folders. */
  absorptionTasks(params: Record<string, never>): {
    tasks: { name: string; labels: string; detail: string }[];
  };
  /** Prepares a task for every SAE in use at a document (the active one), with progress; hovers judge by it from then on. */
  prepareAbsorption(params: {
    uri?: string;
    labels: string;
    setting: AbsorptionSetting;
    texts?: readonly string[];
  }): { prepared: PreparedAbsorption[] };
}
