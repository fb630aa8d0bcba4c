/**
 * The lm room: language models as chains of block sessions. It reads configs and weights of known families
 * (`architectures/`, one file each), names hook points, keeps KV caches and kept residuals per token sequence (`Stream`),
 * and generates. It knows nothing of SAEs, documents or editors. Start reading at `LanguageModel`, then `Stream`.
 */
import { basename, dirname } from "node:path";
import type { Weights } from "../files/weights.ts";
import type { LmInfo } from "../protocol/reader.ts";
import type { Device } from "../runtime/device.ts";
import { kvCacheBytes } from "../runtime/memory-plan.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { Architecture } from "./architectures/architecture.ts";
import { type BlockOutput, Blocks } from "./blocks.ts";
import type { LmConfig } from "./config.ts";
import { embed } from "./embedding.ts";
import { absentHook, noTokenizer, unknownLayer } from "./errors.ts";
import { type HookPoint, parseHookPoint, printHookPoint } from "./hook-points.ts";
import type { LmWeights } from "./lm-weights.ts";
import { type PositionInputs, RotaryCache } from "./position-inputs.ts";
import { type Floats, floatsOf, type Precision, rowsTensor } from "./precision.ts";
import { Unembedding } from "./unembedding.ts";

/**
 * Rows and scores that one run of a block takes at most. A run costs time of its own (outputs become garbage of V8, threads are
 * woken for every op) and is what cancelling waits for: small blocks take twice as many rows. SmolLM2 to layer 9, cpu-ms of
 * one thread in turns, runs of 256 rows against 128: windows of 256 tokens 0.91, of 512 tokens 0.91, 1,000 tokens 0.96; runs of
 * 384 and 512 rows gain no more at 1,000 tokens. A whole text in one run does not pay (the upper triangle of scores is computed
 * for nothing, and large buffers are slow: `protocol/reader-environment.ts`, whose limit of 16 MiB the scores keep below);
 * 64 rows make the matrix products slow.
 */
const maxRunRows = 128;
const maxRunRowsOfSmallBlock = 256;
/** Weights of a block that is small: 256 rows of it are 8 GFLOP, some 30 ms of two cores. */
const smallBlock = 16 * 2 ** 20;
const maxRunScores = 3 * 2 ** 20;

/** What a language model is made of, as `loadLm` found it. */
export interface LmParts {
  readonly path: string;
  readonly architecture: Architecture;
  readonly weights: Weights;
  readonly named: LmWeights;
  readonly device: Device;
  /** Reads the tokenizer, or is undefined where there is none. */
  readonly readTokenizer: (() => Tokenizer) | undefined;
  readonly hasChatTemplate: boolean;
  /** Ids that end a generation. */
  readonly eosIds: readonly number[];
  readonly precision: Precision;
}

/** The new rows of a block with their place in the sequence. */
export interface BlockInput {
  /** `[to - from, d_model]` */
  readonly resid: Floats;
  readonly from: number;
  readonly to: number;
  /** Cached keys and values of positions [0, from), `[from, n_kv_heads * d_head]`. */
  readonly pastK: Floats;
  readonly pastV: Floats;
}

/** A language model on a device; its blocks are loaded when first run. */
export class LanguageModel {
  readonly architecture: Architecture;
  readonly config: LmConfig;
  readonly weights: Weights;
  /** The weights under Hugging Face's names. */
  readonly named: LmWeights;
  readonly device: Device;
  readonly path: string;
  readonly id: string;
  readonly eosIds: readonly number[];
  readonly unembedding: Unembedding;
  /** Numbers that blocks compute in, and that keys, values and residuals are kept in; all that is read comes out as f32. */
  readonly precision: Precision;
  readonly rotary: RotaryCache;
  readonly #parts: LmParts;
  readonly #blocks: Blocks;
  #tokenizer: Tokenizer | undefined;

  constructor(parts: LmParts) {
    const { architecture, weights, device, path, named } = parts;
    this.#parts = parts;
    this.architecture = architecture;
    this.config = architecture.config;
    this.weights = weights;
    this.named = named;
    this.device = device;
    this.path = path;
    this.id = modelId(path);
    this.eosIds = parts.eosIds;
    this.precision = parts.precision;
    this.rotary = new RotaryCache(parts.precision);
    this.#blocks = new Blocks(this.id, parts);
    this.unembedding = new Unembedding(this.id, architecture, named, device);
  }

  /** The tokenizer, read when first asked for. */
  get tokenizer(): Tokenizer {
    if (this.#parts.readTokenizer === undefined) throw noTokenizer(this.path);
    this.#tokenizer ??= this.#parts.readTokenizer();
    return this.#tokenizer;
  }

  /** What others are told about the model. */
  get info(): LmInfo {
    const { family, n_layers, d_model, d_vocab, n_ctx } = this.config;
    const tokenizer = this.#parts.readTokenizer === undefined ? undefined : this.tokenizer;
    const bosToken = tokenizer?.bosToken;
    return {
      id: this.id,
      path: this.path,
      family,
      n_layers,
      d_model,
      d_vocab,
      n_ctx,
      hasChatTemplate: this.#parts.hasChatTemplate,
      notes: tokenizer?.notes ?? ["no tokenizer: token ids only"],
      ...(bosToken === undefined ? {} : { bosToken }),
    };
  }

  /** The hook point of this name; throws with what exists where the model does not have it. */
  hook(name: string): HookPoint {
    const point = parseHookPoint(name);
    this.checkHook(point);
    return point;
  }

  /** Throws where the model does not have the hook point. */
  checkHook(point: HookPoint): void {
    if (!("layer" in point)) return;
    if (point.layer >= this.config.n_layers) {
      throw unknownLayer(point.layer, this.id, this.config.n_layers);
    }
    const reason = this.architecture.absentHooks[point.kind];
    if (reason !== undefined) throw absentHook(printHookPoint(point), this.id, reason);
  }

  /** Width of a row at a hook point, heads flattened; undefined for patterns, whose rows are as long as the text. */
  hookWidth({ kind }: HookPoint): number | undefined {
    const { d_model, d_mlp, d_vocab, n_heads, d_head } = this.config;
    if (kind === "pattern") return undefined;
    if (kind === "z") return n_heads * d_head;
    if (kind === "mlp_post") return d_mlp;
    return kind === "logits" ? d_vocab : d_model;
  }

  /** Bytes that a stream of this many tokens keeps as keys and values up to a layer. */
  kvBytes(tokens: number, deepestLayer: number = this.config.n_layers - 1): number {
    return kvCacheBytes({ ...this.config, n_layers: deepestLayer + 1 }, tokens);
  }

  /** Rows that a block should be run on at once in a sequence of this length. */
  rowsPerRun(length: number): number {
    const { n_heads, d_model, d_mlp } = this.config;
    const rows = Math.floor(maxRunScores / (n_heads * Math.max(1, length)));
    const isSmall = d_model * (4 * d_model + 3 * d_mlp) <= smallBlock;
    return Math.max(16, Math.min(isSmall ? maxRunRowsOfSmallBlock : maxRunRows, rows));
  }

  /**
   * Throws a table of bytes if weights up to a layer, the unembedding and a KV cache of `tokens` do not fit the
   * device's budget.
   */
  preflight(deepestLayer: number = this.config.n_layers - 1, tokens = 2048): void {
    const { n_layers, n_ctx } = this.config;
    const length = Math.min(tokens, n_ctx);
    const rows = Math.min(length, this.rowsPerRun(length));
    const { weights, activations } = this.#blocks.plan({ tokens: rows, past: length - rows });
    const whole = deepestLayer === n_layers - 1;
    this.device.ledger.require([
      { what: this.#blocks.ledgerLine, bytes: weights * (deepestLayer + 1) },
      { what: this.unembedding.ledgerLine, bytes: whole ? this.unembedding.smallestBytes : 0 },
      {
        what: `${this.id}: keys and values of ${length} tokens`,
        bytes: this.kvBytes(length, deepestLayer),
      },
      { what: `${this.id}: activations of ${rows} tokens`, bytes: activations },
    ]);
  }

  /** Throws for the first tensor that is missing or has another shape than the config says. */
  checkShapes(): void {
    this.unembedding.checkShapes();
    this.#blocks.checkShapes();
  }

  /** What enters block 0. `[tokens] -> [tokens, d_model]` */
  embed(ids: Int32Array, from: number): Float32Array {
    return embed(this.id, this.architecture, this.#parts.named, { ids, from });
  }

  /** Runs one block on new rows and returns the outputs asked for. */
  async runBlock(
    layer: number,
    { resid, from, to, pastK, pastV }: BlockInput,
    { outputs, positions, signal }: BlockRun,
  ): Promise<Map<BlockOutput, Tensor>> {
    const { d_model, n_kv_heads, d_head, layers } = this.config;
    const past = [from, n_kv_heads, d_head];
    const feeds = {
      resid: this.#feed(resid, [to - from, d_model]),
      past_k: this.#feed(pastK, past),
      past_v: this.#feed(pastV, past),
      ...positions.feeds(layers[layer]!, from, to),
    };
    return this.#blocks.run(layer, feeds, outputs, signal);
  }

  #feed(data: Floats, dims: readonly number[]): Tensor {
    const Floats = floatsOf[this.precision];
    return rowsTensor(data instanceof Floats ? data : Floats.from(data), dims);
  }

  /** Frees sessions and files. */
  async release(): Promise<void> {
    await this.#blocks.release();
    await this.unembedding.release();
    this.weights.close();
  }
}

/** How a block is run. */
export interface BlockRun {
  readonly outputs: readonly BlockOutput[];
  readonly positions: PositionInputs;
  readonly signal: AbortSignal | undefined;
}

/** Last part of the path; `org/name` for a snapshot in the Hugging Face cache. */
function modelId(path: string): string {
  const cached = /models--([^/\\]+)--([^/\\]+)[/\\]snapshots[/\\][^/\\]+[/\\]?$/.exec(path);
  if (cached !== null) return `${cached[1]}/${cached[2]}`;
  const name = basename(path).replace(/\.gguf$/, "");
  // A folder called "lm" says nothing; the one around it does.
  return ["lm", "model"].includes(name) ? `${basename(dirname(path))}/${name}` : name;
}
