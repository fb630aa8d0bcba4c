/**
 * What pages and the editor's client may ask about runs (trainings that are processes of their own, each with a
 * folder). Part of the table `PageMethods`. Curves are asked by range and come thinned to what a chart can show; the
 * file of events never crosses.
 */

/**
 * How a run is: `new` was never started, `stopping` has been asked to end and writes its checkpoint, `stopped` can go
 * on, `failed` says why.
 */
export type RunState = "new" | "running" | "stopping" | "stopped" | "finished" | "failed";

/**
 * The figures of a step that have curves, as the events of a run name them; `dead` in latents, rows are tokens (decoder
 * rows for a meta-SAE).
 */
export const runMetrics = ["loss", "fvu", "l0", "dead", "lr", "rowsPerSecond"] as const;

/** One of them. */
export type RunMetric = (typeof runMetrics)[number];

/** The last known figures of an SAE in training; what its trainer does not report is absent. */
export type RunFigures = { readonly step: number } & {
  readonly [metric in RunMetric]?: number;
};

/** An SAE of a run: the only one, or one of a sweep. */
export interface RunSae {
  /** Unique in its run; empty for the only one. */
  readonly id: string;
  readonly architecture: string;
  readonly d_sae: number;
  /** What tells it from the others of a sweep, by the names of the run file. */
  readonly options: Readonly<Record<string, string | number | boolean>>;
  readonly last?: RunFigures;
  /** Folder of the finished SAE. */
  readonly path?: string;
  /** Folder of the meta-SAE that was trained against it. */
  readonly metaPath?: string;
}

/** A run as lists show it. */
export interface RunInfo {
  /** Absolute path; names the run. */
  readonly folder: string;
  readonly name: string;
  /** What it makes: SAEs, or the index of one. */
  readonly kind: "train" | "index";
  readonly state: RunState;
  /** One sentence: how far it is, or what went wrong. */
  readonly text: string;
  /** Whether `startRun` would go on from a checkpoint. */
  readonly resumable: boolean;
  readonly step: number;
  readonly steps?: number;
  /** Seconds to the end at the present speed; only while it runs. */
  readonly secondsLeft?: number;
  readonly lm?: string;
  readonly hook?: string;
  readonly saes: readonly RunSae[];
}

/** Curves of one SAE over a range of steps, at most as many points as asked for; each point is a mean over its steps. */
export interface RunCurves {
  readonly steps: readonly number[];
  readonly values: { readonly [metric in RunMetric]: readonly (number | null)[] };
  /** The steps that are known at all. */
  readonly firstStep: number;
  readonly lastStep: number;
}

/** What a guided start of a training may take for granted: the model and the SAEs in use. */
export interface TrainChoices {
  readonly lm: { readonly id: string; readonly path: string; readonly layers: number };
  readonly d_model: number;
  readonly n_ctx: number;
  readonly prependBos: boolean;
  /** The hook point of the SAE in use, else the middle of the model. */
  readonly hook: string;
  /** SAEs whose decoder rows a meta-SAE may read. */
  readonly saes: readonly {
    readonly id: string;
    readonly path: string;
    readonly d_in: number;
    readonly d_sae: number;
  }[];
}

/** The answers of a guided start. */
export interface TrainAnswers {
  readonly name: string;
  readonly architecture: TrainArchitecture;
  /** Path of the language model, or of the SAE whose decoder rows a meta-SAE reads. */
  readonly lm?: string;
  readonly metaOf?: string;
  readonly hook?: string;
  /** Text files and folders. */
  readonly corpus: readonly string[];
  readonly d_in: number;
  readonly d_sae: number;
  /** Active latents per token that are aimed at. */
  readonly l0: number;
  /** Weight of the L1 norm, for the architectures that cannot aim at an L0: standard and gated. */
  readonly l1?: number;
  /** Tokens (for a meta-SAE: decoder rows) to train on. */
  readonly tokens: number;
  readonly n_ctx?: number;
  readonly prependBos?: boolean;
}

/** The architectures that the guided start offers. */
export type TrainArchitecture =
  "batchtopk" | "topk" | "jumprelu" | "matryoshka" | "standard" | "gated" | "abstopk";

/** The part of the table that is about runs. */
export interface RunMethods {
  /** Every run of the workspace, newest first, and the folder that new ones go to. */
  runs(params: Record<string, never>): { folder: string; runs: RunInfo[] };
  /** Curves of an SAE of a run; the whole range where none is given. */
  runCurves(params: {
    folder: string;
    sae: string;
    fromStep?: number;
    toStep?: number;
    points: number;
  }): RunCurves;
  /** What a training started now would train on. `uri`: the document whose model and SAEs are meant. */
  trainChoices(params: { uri?: string }): TrainChoices;
  /** Writes the run file of a new run into a folder of its own; starts nothing. */
  createRun(params: TrainAnswers): { folder: string };
  /** Makes a run of a run file: of its own folder if it is called run.jsonc, else of a new one. */
  adoptRun(params: { file: string }): { folder: string };
  /** Starts a run, or goes on from its last checkpoint, as a process that outlives the server. */
  startRun(params: { folder: string }): RunInfo;
  /** Asks a run to write a checkpoint and to end; `kill`: ends it at once. */
  stopRun(params: { folder: string; kill?: boolean }): null;
  /** Removes the folder of a run that does not run. */
  deleteRun(params: { folder: string }): null;
  /** Reads texts with a finished SAE of a run from now on, beside those in use; the answer is what is used then. */
  useRun(params: { folder: string; sae?: string }): { lm?: string; saes: string[] };
}

/** What the training page may ask of its host, the editor's client, beside `RunMethods` that the host passes on. */
export interface TrainHostMethods {
  /** The first call: the run to show. */
  start(params: Record<string, never>): { folder: string };
  /** Runs one of the client's own commands about a run. */
  runCommand(params: { command: RunCommand; folder: string; sae?: string }): null;
}

/** The client's commands that the training page may run. */
export type RunCommand =
  "stopRun" | "resumeRun" | "deleteRun" | "revealRun" | "useRunSae" | "openRunOutput";

/** Events from the host to the training page. */
export interface TrainPageEvents {
  /** Runs have news: ask again what is shown. */
  changed: Record<string, never>;
  /** Show this run. */
  select: { folder: string };
}
