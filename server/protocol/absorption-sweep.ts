/**
 * Absorption of many SAEs on one task, side by side: what the command line writes as `sweep.json` and pages show.
 * Names with underscores are SAEBench's (sae-bench@0.6.0 evals/absorption/eval_output.py), so that its readers find them.
 */
import type { AbsorptionReport, LabelReport } from "./absorption.ts";

/** Name of the file in a sweep's folder. */
export const sweepFile = "sweep.json";

/** One label under one SAE: what a cell of the heat map shows. */
export type SweepLabel = Pick<
  LabelReport,
  "label" | "probeCounts" | "hasMainLatents" | "fullRate" | "partialRate" | "meanFraction"
> & { readonly words: number; readonly probeF1: number; readonly mainF1: number };

/** Words by how often their token stands in a corpus. */
export interface FrequencyBin {
  /** Occurrences per million tokens, from `from` (included) to `below`; the first bin holds words that never stand there. */
  readonly from: number;
  readonly below: number | null;
  readonly words: number;
  readonly fullRate: number;
  readonly meanFraction: number;
}

/** SAEBench's figures over labels. */
export interface SaeBenchMean {
  readonly mean_absorption_fraction_score: number;
  readonly mean_full_absorption_score: number;
  readonly mean_num_split_features: number;
  readonly std_dev_absorption_fraction_score: number;
  readonly std_dev_full_absorption_score: number;
  readonly std_dev_num_split_features: number;
}

/** SAEBench's figures of one label. */
export interface SaeBenchDetail {
  readonly first_letter: string;
  readonly mean_absorption_fraction: number;
  readonly full_absorption_rate: number;
  readonly num_full_absorption: number;
  readonly num_probe_true_positives: number;
  readonly num_split_features: number;
}

/** One measured SAE. */
export interface SweepRow {
  readonly sae: string;
  readonly path: string;
  readonly hook: string;
  /** As it was trained, where its files say so: `batchtopk` for one that is kept as JumpReLU. */
  readonly architecture: string;
  /** Other objectives of its training: tied, end-to-end, adversarial, attribution-sparse; empty for a plain one. */
  readonly trainedWith: readonly string[];
  readonly d_sae: number;
  /** Mean number of active latents at the held-out words. */
  readonly l0: number;
  readonly mean: AbsorptionReport["mean"];
  readonly labels: readonly SweepLabel[];
  /** Over words of labels that the probe knows and that have main latents. */
  readonly frequency: readonly FrequencyBin[];
  readonly problems: readonly string[];
  /** Over labels that count, as in SAEBench's results. */
  readonly eval_result_metrics: { readonly mean: SaeBenchMean };
  readonly eval_result_details: readonly SaeBenchDetail[];
}

/** A sweep, finished or on its way. */
export interface AbsorptionSweep {
  readonly schemaVersion: 1;
  readonly kind: "absorption-sweep";
  readonly lm: string;
  readonly task: string;
  readonly setting: AbsorptionReport["setting"];
  readonly probe: AbsorptionReport["probe"];
  readonly selection: AbsorptionReport["selection"];
  readonly judge: AbsorptionReport["judge"];
  readonly seed: number;
  /** The text in which tokens were counted. */
  readonly corpus: { readonly files: readonly string[]; readonly tokens: number };
  readonly rows: readonly SweepRow[];
  /** SAEs that could not be measured, and why. */
  readonly failed: readonly { readonly sae: string; readonly problem: string }[];
  /** SAEs whose turn has not come. */
  readonly waiting: readonly string[];
}

/** What a measurement adds to a sweep. */
export interface SweptSae {
  readonly row: SweepRow;
  readonly corpus: AbsorptionSweep["corpus"];
}

/** What the page about sweeps asks of the server beside the absorption page's methods. */
export interface SweepMethods {
  /** Reads what the command line wrote into a folder, finished or not. */
  openSweep(params: { folder: string }): AbsorptionSweep;
}
