/** What a language model's config says, in our names; and reading entries of a `config.json` with checks. */
import { badConfig } from "./errors.ts";
import type { RotaryConfig } from "./rotary.ts";

/** Activation functions of MLPs. */
export type ActivationName = "silu" | "gelu" | "gelu-tanh" | "relu";

/** What differs between the layers of one model. */
export interface LayerConfig {
  /** A token sees itself and the `window - 1` tokens before it; absent: all tokens before it. */
  readonly window?: number;
  /** Absent for models with learned positions. */
  readonly rotary?: RotaryConfig;
  /** Factor on query · key. */
  readonly attentionScale: number;
}

/** Sizes and constants of a language model, read from its config by its architecture. */
export interface LmConfig {
  /** The architecture's name as Hugging Face spells `model_type`. */
  readonly family: string;
  readonly n_layers: number;
  readonly d_model: number;
  readonly n_heads: number;
  readonly n_kv_heads: number;
  readonly d_head: number;
  readonly d_mlp: number;
  readonly d_vocab: number;
  readonly n_ctx: number;
  readonly normEps: number;
  readonly activation: ActivationName;
  /** Factor on the token embedding. */
  readonly embedScale: number;
  /** cap · tanh(scores / cap), where there is one. */
  readonly attentionSoftcap?: number;
  readonly logitSoftcap?: number;
  /** True when the unembedding is the embedding. */
  readonly tiedEmbedding: boolean;
  readonly layers: readonly LayerConfig[];
}

/** Far more than any model has; what is larger is a damaged file. */
const maxLayers = 4096;
const maxSize = 2 ** 24;

/** Typed reading of a JSON object; every refusal names file, key, what was found and what was expected. */
export class ConfigReader {
  readonly file: string;
  readonly #entries: Readonly<Record<string, unknown>>;
  readonly #path: string;

  constructor(file: string, entries: unknown, path = "") {
    if (!isRecord(entries))
      throw badConfig(file, path === "" ? "the file" : path, entries, "an object");
    this.file = file;
    this.#entries = entries;
    this.#path = path;
  }

  /** A number; `fallback` where the key is absent or null. Without fallback the key must be there. */
  number(key: string, fallback?: number): number {
    const value = this.#entries[key] ?? fallback;
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.bad(key, "a number");
    return value;
  }

  /** A whole number of at least 1. */
  count(key: string, fallback?: number): number {
    const value = this.number(key, fallback);
    if (!Number.isInteger(value) || value < 1) throw this.bad(key, "a whole number of at least 1");
    // Tables are made by these sizes before any weight contradicts them.
    const most = key.includes("layer") ? maxLayers : maxSize;
    if (value > most) throw this.bad(key, `a whole number of at most ${most}`);
    return value;
  }

  /** A number, or undefined where the key is absent or null. */
  maybeNumber(key: string): number | undefined {
    return this.has(key) ? this.number(key) : undefined;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.#entries[key] ?? fallback;
    if (typeof value !== "boolean") throw this.bad(key, "true or false");
    return value;
  }

  string(key: string, fallback?: string): string {
    const value = this.#entries[key] ?? fallback;
    if (typeof value !== "string") throw this.bad(key, "a text");
    return value;
  }

  /** A list of texts, or undefined where the key is absent or null. */
  maybeStrings(key: string): readonly string[] | undefined {
    if (!this.has(key)) return undefined;
    const value = this.#entries[key];
    if (!Array.isArray(value) || !value.every((entry) => typeof entry === "string")) {
      throw this.bad(key, "a list of texts");
    }
    return value;
  }

  /** A nested object, or undefined where the key is absent or null. */
  maybeObject(key: string): ConfigReader | undefined {
    if (!this.has(key)) return undefined;
    const path = this.#path === "" ? key : `${this.#path}.${key}`;
    return new ConfigReader(this.file, this.#entries[key], path);
  }

  /** The entry as it stands, for the few that are neither. */
  raw(key: string): unknown {
    return this.#entries[key];
  }

  /** True where the key is there and not null. */
  has(key: string): boolean {
    return this.#entries[key] !== undefined && this.#entries[key] !== null;
  }

  /** The refusal of an entry. */
  bad(key: string, expected: string): Error {
    const path = this.#path === "" ? key : `${this.#path}.${key}`;
    return badConfig(this.file, path, this.#entries[key], expected);
  }
}

/** The activation function that Hugging Face calls by the name under `key`. */
export function readActivation(
  reader: ConfigReader,
  key: string,
  fallback?: string,
): ActivationName {
  const name = reader.string(key, fallback);
  const known = activationNames[name];
  if (known === undefined) {
    throw reader.bad(key, `one of ${Object.keys(activationNames).join(", ")}`);
  }
  return known;
}

const activationNames: Readonly<Record<string, ActivationName>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu",
  gelu_new: "gelu-tanh",
  gelu_pytorch_tanh: "gelu-tanh",
  gelu_fast: "gelu-tanh",
  relu: "relu",
};

/** Ids under `key`: one number or a list of them; undefined where absent. */
export function maybeIds(reader: ConfigReader, key: string): readonly number[] | undefined {
  if (!reader.has(key)) return undefined;
  const value = reader.raw(key);
  const ids: unknown[] = Array.isArray(value) ? value : [value];
  if (!ids.every((id): id is number => typeof id === "number" && Number.isInteger(id))) {
    throw reader.bad(key, "a token id or a list of them");
  }
  return ids;
}

/**
 * The window of each layer: by `layer_types` where the config has them (transformers 5), else by the older
 * rule that the family gives.
 */
export function readWindows(
  reader: ConfigReader,
  n_layers: number,
  older: (layer: number) => boolean,
): readonly (number | undefined)[] {
  const window = reader.maybeNumber("sliding_window");
  const types = reader.maybeStrings("layer_types");
  return Array.from({ length: n_layers }, (_, layer) => {
    const slides = types === undefined ? older(layer) : isSliding(reader, types[layer]);
    return slides ? window : undefined;
  });
}

function isSliding(reader: ConfigReader, type: string | undefined): boolean {
  if (type !== "sliding_attention" && type !== "full_attention") {
    throw reader.bad("layer_types", "sliding_attention or full_attention for every layer");
  }
  return type === "sliding_attention";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
