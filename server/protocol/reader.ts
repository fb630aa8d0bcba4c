/**
 * The reader's method table: what the server (or the command line) may ask of the process that owns language
 * models and SAEs on one device. Plain data and typed arrays only.
 */
import type { AbsorptionReaderMethods, TokenAbsorption } from "./absorption.ts";
import type { ComparisonReaderMethods } from "./comparison.ts";
import type { ContextSource, ContextTokens } from "./context.ts";
import type { FindReaderMethods } from "./find.ts";
import type { DecompositionReaderMethods } from "./decompositions.ts";
import type { MetaReaderMethods } from "./meta.ts";
import type { StitchReaderMethods } from "./stitching.ts";
import type { InterventionMethods } from "./interventions.ts";

/** How a reader is started. */
export interface ReaderSettings {
  /** "auto" tries the devices one by one and keeps the reason of each refusal. */
  readonly device: "auto" | DeviceName;
  readonly threads: number;
  /** Bytes that weights, KV caches, SAEs and activations may take together. */
  readonly memoryBudget: number;
  /** Folder for self-checks, downloads of ours and converted files. */
  readonly cacheFolder: string;
  /** Text file of about a thousand tokens that self-checks read. */
  readonly sampleText: string;
}

/** The execution providers of ONNX Runtime that we drive. */
export type DeviceName = "cpu" | "cuda" | "webgpu" | "dml" | "coreml";

/** The answer of one device to being tried. */
export interface DeviceReport {
  readonly device: DeviceName;
  readonly chosen: boolean;
  /** Why it was refused, in ONNX Runtime's words or ours; absent if it can be used. */
  readonly refusal?: string;
  /** Largest difference from the CPU on the check graph, over a row's RMS; refused above 1e-4. */
  readonly checkError?: number;
}

/** One line of the memory plan. */
export interface MemoryItem {
  readonly what: string;
  readonly bytes: number;
}

/** What the reader says about itself. */
export interface ReaderInfo {
  readonly device: DeviceName;
  readonly devices: readonly DeviceReport[];
  readonly runtimeVersion: string;
  readonly threads: number;
  readonly memory: MemoryStatus;
}

/** Plan and measurement of memory. */
export interface MemoryStatus {
  readonly budget: number;
  readonly planned: readonly MemoryItem[];
  readonly residentBytes: number;
}

/** A loaded language model. */
export interface LmInfo {
  readonly id: string;
  readonly path: string;
  readonly family: string;
  readonly n_layers: number;
  readonly d_model: number;
  readonly d_vocab: number;
  readonly n_ctx: number;
  readonly hasChatTemplate: boolean;
  readonly bosToken?: string;
  /** Why token ranges are less than exact for this tokenizer, if they are. */
  readonly notes: readonly string[];
}

/** A loaded SAE. */
export interface SaeInfo {
  readonly id: string;
  readonly path: string;
  readonly architecture: string;
  readonly format: string;
  readonly d_in: number;
  readonly d_out: number;
  readonly d_sae: number;
  /** As TransformerLens prints it; the parent's id for a meta-SAE. */
  readonly hook: string;
  /** Hook point that a transcoder predicts. */
  readonly hookOut?: string;
  readonly prependBos: boolean;
  readonly n_ctx?: number;
  /** Set for a meta-SAE: it reads decoder rows of this SAE, never text. */
  readonly metaOf?: string;
  readonly declared: Readonly<Record<string, number | string>>;
  readonly badges: readonly string[];
  /** Labels found beside the weights, by latent. */
  readonly labels: Readonly<Record<number, string>>;
}

/** Figures measured by running an SAE on text (or a meta-SAE on its parent's decoder rows). */
export interface SelfCheck {
  readonly tokens: number;
  readonly l0: number;
  /** Σ(x − x_hat)² / Σ(x − mean x)², both over all tokens but BOS and position 0. */
  readonly fvu: number;
  /** The same with BOS and position 0. */
  readonly fvuWithBos: number;
  /** Share of latents that never fired on these tokens. */
  readonly deadShare: number;
  /** For a meta-SAE: FVU on rows of the same norms whose entries were shuffled. */
  readonly shuffledFvu?: number;
  /** What disagrees with the declared facts; empty when all is well. */
  readonly warnings: readonly string[];
  /** Latents active on more than 10 % of the tokens. */
  readonly denseLatents: Int32Array;
  /** Largest activation seen per latent, 0 where it never fired. */
  readonly maxActivation: Float32Array;
}

/** What to analyse. */
export interface AnalyseParams {
  /** Names the sequence whose KV cache may be reused, e.g. uri + context index. */
  readonly stream: string;
  readonly lm: string;
  readonly saes: readonly string[];
  readonly context: ContextSource;
}

/** Active latents of every token under one SAE, in compressed-row form, strongest first within a token. */
export interface SaeReading {
  /** Length tokens + 1: token t owns entries offsets[t] … offsets[t + 1] − 1, so its L0 is the difference. */
  readonly offsets: Int32Array;
  readonly latents: Int32Array;
  readonly acts: Float32Array;
  /** Σ_d (x − x_hat)² per token, in the model's own units. */
  readonly squaredError: Float32Array;
  /** ||x|| per token. */
  readonly inputNorm: Float32Array;
  /** Σ_t ||x_t − mean x||² over the tokens of position > 0, of the vectors that x_hat is compared with; for FVU. */
  readonly variance: number;
  /** Verdicts of prepared labelled tasks at the tokens they apply to, in order of tokens. */
  readonly absorption?: readonly TokenAbsorption[];
}

/** One context read. */
export interface ContextReading {
  readonly tokens: ContextTokens;
  /** For a context longer than the model's: the window each token is read in; all 0 otherwise. */
  readonly window: Int32Array;
  /** Position of each token within its window, BOS included. */
  readonly position: Int32Array;
  readonly saes: Readonly<Record<string, SaeReading>>;
  readonly problems: readonly string[];
  /** Tokens whose part of the sequence was taken from the KV cache. */
  readonly reusedTokens: number;
}

/** Next-token figures of one context. */
export interface PredictionReading {
  /** −ln p(next token), NaN at the last token. */
  readonly nextTokenLoss: Float32Array;
  /** `[tokens, k]` row by row. */
  readonly topIds: Int32Array;
  readonly topProbabilities: Float32Array;
  readonly topTexts: readonly string[];
  readonly k: number;
}

/** The table. */
export interface ReaderMethods
  extends
    AbsorptionReaderMethods,
    FindReaderMethods,
    DecompositionReaderMethods,
    MetaReaderMethods,
    StitchReaderMethods,
    InterventionMethods,
    ComparisonReaderMethods {
  info(params: Record<string, never>): ReaderInfo;
  /** The same with every device of the platform tried and compared with the CPU, however slow. */
  probe(params: Record<string, never>): ReaderInfo;
  loadLm(params: { path: string }): LmInfo;
  /** `lm`: the model whose width and layers the SAE is checked against. `facts`: answers to what a format does not store. */
  loadSae(params: {
    path: string;
    id?: string;
    lm?: string;
    facts?: Readonly<Record<string, string | number | boolean>>;
    /** Whether Python's pickles may be read (default). */
    pickles?: boolean;
  }): SaeInfo;
  unload(params: { id: string }): null;
  selfCheck(params: { sae: string; lm: string }): SelfCheck;
  analyse(params: AnalyseParams): ContextReading;
  /** Next-token loss and the k most likely next tokens, through the rest of the model. */
  predictions(params: {
    stream: string;
    lm: string;
    context: ContextSource;
    prependBos: boolean;
    k: number;
  }): PredictionReading;
  /** The k vocabulary entries that each latent's decoder row raises most, through the final norm's scale and the unembedding. */
  logitEffects(params: { lm: string; sae: string; latents: readonly number[]; k: number }): {
    texts: string[][];
    values: number[][];
  };
  generate(params: {
    lm: string;
    text: string;
    maxNewTokens: number;
    temperature?: number;
    seed?: number;
  }): { text: string; ids: Int32Array };
  /** Forgets the KV caches of a document's streams. */
  dropStreams(params: { prefix: string }): null;
}
