/** One token sequence in a language model: its KV cache, and the activations kept so that edits and deeper reads cost little. */
import { assert } from "../base/errors.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { BlockOutput } from "./blocks.ts";
import { contextTooLong } from "./errors.ts";
import { type BlockHookKind, type HookPoint, printHookPoint } from "./hook-points.ts";
import type { LanguageModel } from "./language-model.ts";
import { PositionInputs } from "./position-inputs.ts";
import { type Floats, rowsTensor } from "./precision.ts";
import { Rows } from "./rows.ts";
import type { Splice } from "./splice.ts";

/** Next-token figures of every position of a stream. */
export interface Predictions {
  /** −ln p(next token) `[tokens]`, NaN at the last. */
  readonly nextTokenLoss: Float32Array;
  /** `[tokens, k]`, most likely first. */
  readonly topIds: Int32Array;
  readonly topProbabilities: Float32Array;
  readonly k: number;
}

/** Hook points inside blocks that a read wants, by layer; residuals are handled apart. */
type Wanted = ReadonlyMap<number, ReadonlySet<BlockHookKind>>;

/**
 * A token sequence. `setIds` keeps what the longest common prefix of ids allows; `read` runs only the blocks and positions
 * that are missing. All that is kept is a run of rows per layer; each is true for the current ids at any moment, so a cancelled
 * or failed read loses nothing but its own last block. Not for concurrent use.
 *
 * With a splice the residual is changed on its way into a block: what is read at and after that place is what the changed
 * model computes; the embedding, read by its own name, stays as it is.
 */
export class Stream {
  readonly #lm: LanguageModel;
  readonly #splice: Splice | undefined;
  readonly #keys: readonly Rows<Floats>[];
  readonly #values: readonly Rows<Floats>[];
  /** resid_post by layer: hook points that were read, and the frontier from which deeper layers go on. */
  readonly #resid = new Map<number, Rows<Floats>>();
  readonly #askedResid = new Set<number>();
  /** Other hook points that were read, by name. */
  readonly #kept = new Map<string, Rows>();
  #ids = new Int32Array(0);
  #busy = false;

  constructor(lm: LanguageModel, splice?: Splice) {
    const { n_layers, n_kv_heads, d_head } = lm.config;
    const row = () => new Rows<Floats>(n_kv_heads * d_head, 0, lm.precision);
    const cache = () => Array.from({ length: n_layers }, row);
    this.#lm = lm;
    this.#splice = splice;
    this.#keys = cache();
    this.#values = cache();
  }

  /** The current ids. */
  get ids(): Int32Array {
    return this.#ids;
  }

  /** Sets the ids and returns how many of their positions need not be run again in the first block. */
  setIds(ids: Int32Array): number {
    assert(!this.#busy, "ids of a stream set while it is being read");
    const { n_ctx } = this.#lm.config;
    if (ids.length > n_ctx) throw contextTooLong(this.#lm.id, ids.length, n_ctx);
    let prefix = 0;
    while (prefix < ids.length && ids[prefix] === this.#ids[prefix]) prefix++;
    for (const rows of this.#allRows()) rows.truncate(prefix);
    this.#ids = ids.slice();
    return this.#keys[0]?.end ?? 0;
  }

  /**
   * Activations at hook points for all positions, by TransformerLens name: `[tokens, d]`, z `[tokens, n_heads, d_head]`,
   * pattern `[n_heads, tokens, tokens]`. Stops after the deepest layer needed.
   */
  async read(
    hooks: readonly HookPoint[],
    signal?: AbortSignal,
  ): Promise<Map<string, Tensor<"float32">>> {
    for (const hook of hooks) this.#lm.checkHook(hook);
    return this.#alone(async () => {
      const patterns = await this.#run(hooks, signal);
      const results = new Map<string, Tensor<"float32">>();
      for (const hook of hooks) {
        results.set(printHookPoint(hook), await this.#result(hook, patterns, signal));
      }
      return results;
    });
  }

  /** Logits of the given positions (default: all). `[positions, d_vocab]` */
  async logits(positions?: readonly number[], signal?: AbortSignal): Promise<Tensor<"float32">> {
    return this.#alone(async () => {
      await this.#run([this.#lastResid], signal);
      return this.#logits(positions, signal);
    });
  }

  /** The loss of every next token and the k most likely ones, without logits leaving the device. */
  async predictions(k: number, signal?: AbortSignal): Promise<Predictions> {
    return this.#alone(async () => {
      await this.#run([this.#lastResid], signal);
      const x = await this.#lm.unembedding.normalize(this.#lastRows(), signal);
      const targets = new Int32Array(this.#ids.length).fill(-1);
      targets.set(this.#ids.subarray(1));
      const summary = await this.#lm.unembedding.summarize(x, { k, targets }, signal);
      const cap = this.#lm.config.logitSoftcap;
      const capped = (value: number) => (cap === undefined ? value : cap * Math.tanh(value / cap));
      return {
        k: summary.k,
        topIds: summary.topIds,
        topProbabilities: summary.topValues.map((value, i) =>
          Math.exp(capped(value) - summary.logSumExp[Math.floor(i / summary.k)]!),
        ),
        nextTokenLoss: Float32Array.from(
          summary.logSumExp,
          (lse, position) => lse - summary.targetLogit[position]!,
        ),
      };
    });
  }

  /** Bytes held. */
  bytes(): number {
    let bytes = this.#ids.byteLength;
    for (const rows of this.#allRows()) bytes += rows.bytes;
    return bytes;
  }

  /** Forgets everything. */
  dispose(): void {
    this.setIds(new Int32Array(0));
    this.#resid.clear();
    this.#kept.clear();
    this.#askedResid.clear();
    for (const rows of this.#allRows()) rows.free();
  }

  get #lastResid(): HookPoint {
    return { kind: "resid_post", layer: this.#lm.config.n_layers - 1 };
  }

  *#allRows(): Generator<Rows<Floats>> {
    yield* this.#keys;
    yield* this.#values;
    yield* this.#resid.values();
    yield* this.#kept.values();
  }

  async #alone<T>(action: () => Promise<T>): Promise<T> {
    assert(!this.#busy, "a stream read twice at once");
    this.#busy = true;
    try {
      return await action();
    } finally {
      this.#busy = false;
    }
  }

  /** Runs what is missing; returns the patterns, which are not kept. */
  async #run(
    hooks: readonly HookPoint[],
    signal?: AbortSignal,
  ): Promise<Map<number, Float32Array>> {
    const wanted = new Map<number, Set<BlockHookKind>>();
    let deepest = -1;
    for (const hook of hooks) {
      const at = this.#blockOf(hook);
      if (at === undefined) continue;
      deepest = Math.max(deepest, at.layer);
      if (at.kind === "resid_post") this.#askedResid.add(at.layer);
      else wanted.set(at.layer, (wanted.get(at.layer) ?? new Set()).add(at.kind));
    }
    const from = this.#plan(deepest, wanted);
    const patterns = new Map<number, Float32Array>();
    const positions = new PositionInputs(this.#lm.rotary);
    for (let layer = 0; layer <= deepest; layer++) {
      const start = from[layer]!;
      if (start >= this.#ids.length) continue;
      const kinds = wanted.get(layer) ?? new Set<BlockHookKind>();
      const pattern = await this.#runLayer(layer, start, { kinds, positions, signal });
      if (pattern !== undefined) patterns.set(layer, pattern);
      this.#dropPassedFrontier(layer - 1);
    }
    return patterns;
  }

  /** The block whose output a hook point is; undefined for the embedding. */
  #blockOf(hook: HookPoint): { kind: BlockHookKind; layer: number } | undefined {
    if (hook.kind === "embed") return undefined;
    if (!("layer" in hook)) return { kind: "resid_post", layer: this.#lm.config.n_layers - 1 };
    if (hook.kind !== "resid_pre") return hook;
    return hook.layer === 0 ? undefined : { kind: "resid_post", layer: hook.layer - 1 };
  }

  /**
   * The first position that each block up to `deepest` must be run from; the sequence's length where it need not run.
   *
   * From the deepest block down: a block must make the residual rows that the block above lacks and that are not kept, and the
   * rows of its own hook points that were never read; and it cannot leave a hole in its KV cache.
   */
  #plan(deepest: number, wanted: Wanted): readonly number[] {
    const n = this.#ids.length;
    const from: number[] = [];
    let needed = n;
    for (let layer = deepest; layer >= 0; layer--) {
      const kept = this.#resid.get(layer);
      let start = n;
      if (needed < n)
        start = kept !== undefined && kept.start <= needed ? Math.max(needed, kept.end) : needed;
      if (this.#askedResid.has(layer)) start = Math.min(start, kept?.start === 0 ? kept.end : 0);
      for (const kind of wanted.get(layer) ?? []) {
        const name = printHookPoint({ kind, layer });
        start = Math.min(start, kind === "pattern" ? 0 : (this.#kept.get(name)?.end ?? 0));
      }
      if (start < n) start = Math.min(start, this.#keys[layer]!.end);
      from[layer] = start;
      needed = start;
    }
    return from;
  }

  /** Runs one block from a position to the end, in pieces; every piece is kept before the next one starts. */
  async #runLayer(layer: number, start: number, run: LayerRun): Promise<Float32Array | undefined> {
    const { n_heads, layers } = this.#lm.config;
    const { window } = layers[layer]!;
    const n = this.#ids.length;
    const { kinds, positions, signal } = run;
    const outputs: BlockOutput[] = ["resid_post", "k", "v"];
    for (const kind of kinds) outputs.push(kind as BlockOutput);
    if (this.#splice?.layer === layer + 1) outputs.push(...this.#splice.reads);
    const keys = this.#keys[layer]!;
    const values = this.#values[layer]!;
    keys.truncate(start);
    values.truncate(start);
    keys.reserve(n);
    values.reserve(n);
    const pattern = kinds.has("pattern") ? new Float32Array(n_heads * n * n) : undefined;
    const step = this.#lm.rowsPerRun(n);
    for (let from = start; from < n; from += step) {
      const to = Math.min(n, from + step);
      const resid =
        layer === 0
          ? await this.#spliced(0, this.#lm.embed(this.#ids.subarray(from, to), from), run, from)
          : this.#residOf(layer - 1, from, to);
      const input = { resid, from, to, pastK: keys.view(0, from), pastV: values.view(0, from) };
      const out = await this.#lm.runBlock(layer, input, { outputs, positions, signal });
      const rows = (output: BlockOutput) => out.get(output)!.data as Floats;
      const after = await this.#spliced(layer + 1, rows("resid_post"), { ...run, out }, from);
      keys.append(rows("k"));
      values.append(rows("v"));
      this.#keepResid(layer, from, after);
      for (const kind of kinds) {
        if (kind === "pattern")
          spreadPattern(rows(kind) as Float32Array, pattern!, { from, to, n, window });
        else this.#keep({ kind, layer }, from, rows(kind as BlockOutput));
      }
    }
    return pattern;
  }

  /** The rows that enter a layer, changed if the splice is there. */
  async #spliced(
    layer: number,
    rows: Floats,
    { out, signal }: { out?: ReadonlyMap<BlockOutput, Tensor>; signal: AbortSignal | undefined },
    from: number,
  ): Promise<Floats> {
    const splice = this.#splice;
    if (splice?.layer !== layer) return rows;
    const { d_model } = this.#lm.config;
    const resid = rowsTensor(Float32Array.from(rows), [rows.length / d_model, d_model]);
    const inside = new Map(
      splice.reads.map((kind) => [kind, out!.get(kind) as Tensor<"float32">] as const),
    );
    const added = await splice.change({ from, resid, inside }, signal);
    return added === undefined ? rows : rows.map((value, i) => value + added[i]!);
  }

  #residOf(layer: number, from: number, to: number): Floats {
    const rows = this.#resid.get(layer);
    assert(rows !== undefined, `no residual of layer ${layer} is kept`);
    return rows.view(from, to);
  }

  #keepResid(layer: number, from: number, added: Floats): void {
    let rows = this.#resid.get(layer);
    if (rows === undefined || rows.start > from || rows.end < from) {
      rows = new Rows<Floats>(this.#lm.config.d_model, from, this.#lm.precision);
      this.#resid.set(layer, rows);
    }
    rows.truncate(from);
    rows.reserve(this.#ids.length);
    rows.append(added);
  }

  /** Keeps rows of a hook point that follow the kept ones; rows after a hole would be of no use. */
  #keep(hook: HookPoint, from: number, added: Floats): void {
    const name = printHookPoint(hook);
    const rows = this.#kept.get(name) ?? new Rows(this.#lm.hookWidth(hook)!);
    if (rows.end < from) return;
    rows.truncate(from);
    rows.reserve(this.#ids.length);
    rows.append(added);
    this.#kept.set(name, rows);
  }

  /** Drops a residual that nobody read and that the next block has used up. */
  #dropPassedFrontier(layer: number): void {
    const passed = this.#keys[layer + 1]?.end === this.#ids.length;
    if (passed && !this.#askedResid.has(layer)) this.#resid.delete(layer);
  }

  #lastRows(): Float32Array<ArrayBuffer> {
    return asFloat32(this.#resid.get(this.#lm.config.n_layers - 1)?.view(0));
  }

  async #logits(positions?: readonly number[], signal?: AbortSignal): Promise<Tensor<"float32">> {
    const { d_model, d_vocab } = this.#lm.config;
    const all = this.#lastRows();
    const picked = positions === undefined ? all : new Float32Array(positions.length * d_model);
    positions?.forEach((position, row) => {
      assert(position >= 0 && position < this.#ids.length, `no position ${position} in the stream`);
      picked.set(all.subarray(position * d_model, (position + 1) * d_model), row * d_model);
    });
    const x = await this.#lm.unembedding.normalize(picked, signal);
    return rowsTensor(await this.#lm.unembedding.logits(x, signal), [
      picked.length / d_model,
      d_vocab,
    ]);
  }

  /** Copies what was read out of the kept rows, which the next edit will overwrite. */
  async #result(
    hook: HookPoint,
    patterns: ReadonlyMap<number, Float32Array>,
    signal?: AbortSignal,
  ): Promise<Tensor<"float32">> {
    const n = this.#ids.length;
    const { n_heads, d_head, d_model } = this.#lm.config;
    if (hook.kind === "logits") return this.#logits(undefined, signal);
    if (hook.kind === "ln_final") {
      const x = await this.#lm.unembedding.normalize(this.#lastRows(), signal);
      return rowsTensor(x.slice(), [n, d_model]);
    }
    const at = this.#blockOf(hook);
    if (at === undefined) return rowsTensor(this.#lm.embed(this.#ids, 0), [n, d_model]);
    if (at.kind === "pattern") {
      return rowsTensor(patterns.get(at.layer) ?? new Float32Array(0), [n_heads, n, n]);
    }
    const rows =
      at.kind === "resid_post" ? this.#resid.get(at.layer) : this.#kept.get(printHookPoint(at));
    const width = this.#lm.hookWidth(hook)!;
    const data = new Float32Array(rows?.view(0) ?? []);
    return tensor("float32", at.kind === "z" ? [n, n_heads, d_head] : [n, width], data);
  }
}

/** The rows themselves where they are f32 already. */
function asFloat32(rows: Floats = new Float32Array(0)): Float32Array<ArrayBuffer> {
  return rows instanceof Float32Array
    ? (rows as Float32Array<ArrayBuffer>)
    : Float32Array.from(rows);
}

interface LayerRun {
  readonly kinds: ReadonlySet<BlockHookKind>;
  readonly positions: PositionInputs;
  readonly signal: AbortSignal | undefined;
}

/**
 * Puts the weights of rows [from, to) `[n_heads, to - from, to]` into `[n_heads, n, n]`, which stays zero where a row does
 * not look: after its own position and before its window.
 */
function spreadPattern(
  part: Float32Array,
  whole: Float32Array,
  { from, to, n, window = n }: { from: number; to: number; n: number; window: number | undefined },
): void {
  const heads = whole.length / (n * n);
  for (let head = 0; head < heads; head++) {
    for (let q = from; q < to; q++) {
      const at = (head * (to - from) + (q - from)) * to;
      const first = Math.max(0, q - window + 1);
      whole.set(part.subarray(at + first, at + q + 1), (head * n + q) * n + first);
    }
  }
}
