/**
 * Encodes rows with one graph: Gemm, activation, TopK. Only active latents leave the device; the dense
 * `[tokens, d_sae]` array never does.
 *
 * Where an architecture does not fix how many latents are active, TopK's k is a guess that follows what was seen; the
 * graph also counts exactly, and rows with more active latents than k run again with a k that fits.
 */
import { assert } from "../base/errors.ts";
import { Graph, type Value } from "../graph/graph.ts";
import { cast, greater, reduceSum, topk } from "../graph/ops/index.ts";
import type { Session } from "../runtime/device.ts";
import { stretchesOf, topkInStretches } from "../graph/stretches.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { Architecture, Encoder, OpenParts, Pieces } from "./architectures/architecture.ts";
import { architectureOf } from "./architectures/index.ts";
import { centred } from "./architectures/input.ts";
import { normalize } from "./normalization.ts";
import { type SparseActs, SparseRows } from "./sparse-acts.ts";
import { WeightValues } from "./weight-values.ts";

/**
 * Bytes that the dense activations of one run may take (about three arrays of that size live at a time), and fewest and
 * most rows of a run: fewer would read a wide SAE's weights too often.
 */
const denseBytes = 8 * 2 ** 20;
const minRows = 64;
const maxRows = 512;

/**
 * The k of the first run, and the one up to which a larger k costs next to nothing: [128, 576] on 9216 latents takes
 * 18.3 cpu-ms with k 10, 17.9 with 128, 19.8 with 256, 25.4 with 1024; a second run for 3 rows takes 1.5.
 */
const firstGuess = 128;
const cheapK = 256;

/** Rows of one run: bounded, so that activations stay small beside the weights. */
export function rowsPerRun(d_sae: number): number {
  return Math.max(minRows, Math.min(maxRows, Math.floor(denseBytes / (4 * d_sae))));
}

/**
 * The graph of an encoder: inputs x and, where k is free, `k` int64 [1]; outputs acts, latents and count. `inStretches`: for
 * a device that sorts short rows only; then a free k has `kOfStretch` beside it, and latents are float32.
 */
export function buildEncoder(
  { label, config, parameters }: Omit<OpenParts, "device">,
  inStretches = false,
): Graph {
  const { encoding } = architectureOf(config);
  const graph = new Graph(`${label}: encoder`);
  const raw = graph.input("x", "float32", ["tokens", config.d_in]);
  const weights = new WeightValues(graph, parameters);
  const x = centred(normalize(raw, config.normalization).x, { weights, config });
  const pieces: Pieces = { x, weights, config, inStretches };
  if (encoding.kind === "selected") {
    const { acts, latents } = encoding.select(pieces);
    graph.output("acts", acts);
    graph.output("latents", latents);
    return graph;
  }
  assert(encoding.kind === "dense", `${config.architecture} encodes by itself`);
  const dense = encoding.acts(pieces);
  const k = graph.input("k", "int64", [1]);
  const { acts, latents } = inStretches
    ? stretchedTopk(dense, k, graph.input("kOfStretch", "int64", [1]))
    : wholeTopk(dense, k);
  graph.output("acts", acts);
  graph.output("latents", latents);
  graph.output("count", countActive(dense));
  return graph;
}

interface Largest {
  readonly acts: Value;
  readonly latents: Value;
}

function wholeTopk(dense: Value, k: Value): Largest {
  const { values, indices } = topk(dense, k);
  return { acts: values, latents: indices };
}

function stretchedTopk(dense: Value, k: Value, kOfStretch: Value): Largest {
  const { values, places } = topkInStretches(dense, k, kOfStretch);
  return { acts: values, latents: places };
}

/** Active latents of each row, exact up to 2^24. `[tokens, d_sae] -> [tokens]` */
function countActive(acts: Value): Value {
  return reduceSum(cast(greater(acts, 0), "float32"), [1]);
}

/** Loads the encoder of an SAE, of whatever kind its architecture has. */
export async function openEncoder(parts: OpenParts): Promise<Encoder> {
  const { encoding }: Architecture = architectureOf(parts.config);
  if (encoding.kind === "own") return encoding.open(parts);
  const inStretches = parts.device.sortsShortRows && stretchesOf(parts.config.d_sae) > 1;
  const graph = buildEncoder(parts, inStretches);
  const session = await parts.device.load(graph, { label: `${parts.label}: encoder` });
  if (encoding.kind === "selected") return new SelectingEncoder(session, parts);
  return new CountingEncoder(session, parts, inStretches);
}

/** Runs rows in bounded pieces, or all at once for an SAE that needs whole sequences. */
abstract class PiecewiseEncoder implements Encoder {
  protected readonly session: Session;
  protected readonly config: OpenParts["config"];

  constructor(session: Session, { config }: OpenParts) {
    this.session = session;
    this.config = config;
  }

  async encode(x: Tensor<"float32">, signal?: AbortSignal): Promise<SparseActs> {
    const [nRows = 0] = x.dims;
    const rows = new SparseRows(nRows);
    const runs = this.config.wholeSequences ? 1 : Math.ceil(nRows / rowsPerRun(this.config.d_sae));
    // Runs of equal size: a last one of a few rows would read all weights for them.
    const step = Math.max(1, Math.ceil(nRows / runs));
    for (let from = 0; from < nRows; from += step) {
      const piece = rowsOf(x, from, Math.min(from + step, nRows));
      await this.run(piece, (row, latents, acts) => rows.set(from + row, latents, acts), signal);
    }
    return rows.finish();
  }

  protected abstract run(
    piece: Tensor<"float32">,
    set: SetRow,
    signal?: AbortSignal,
  ): Promise<void>;

  release(): Promise<void> {
    return this.session.release();
  }
}

type SetRow = (row: number, latents: Int32Array, acts: Float32Array) => void;

/** For architectures that fix k: what is not zero is active. */
class SelectingEncoder extends PiecewiseEncoder {
  protected override async run(
    piece: Tensor<"float32">,
    set: SetRow,
    signal?: AbortSignal,
  ): Promise<void> {
    const out = new Selection(await this.session.run({ x: piece }, ["acts", "latents"], signal));
    for (let row = 0; row < out.nRows; row++) {
      let n = 0;
      while (n < out.k && out.act(row, n) !== 0) n++;
      set(row, out.latents(row, n), out.acts(row, n));
    }
  }
}

/** For architectures where any number of latents may be active. */
class CountingEncoder extends PiecewiseEncoder {
  #k: number;
  readonly #inStretches: boolean;

  constructor(session: Session, parts: OpenParts, inStretches: boolean) {
    super(session, parts);
    this.#inStretches = inStretches;
    const { l0, k } = parts.config.declared;
    const stated = [l0, k].find((it) => typeof it === "number") as number | undefined;
    this.#k = this.#atMost(Math.max(firstGuess, roundUp((stated ?? 0) * 2)));
  }

  protected override async run(
    piece: Tensor<"float32">,
    set: SetRow,
    signal?: AbortSignal,
  ): Promise<void> {
    const k = this.#k;
    const { counts, out } = await this.#select(piece, k, signal);
    const more: number[] = [];
    for (const [row, count] of counts.entries()) {
      if (count > k) more.push(row);
      else set(row, out.latents(row, count), out.acts(row, count));
    }
    this.#guessFrom(counts);
    if (more.length > 0) await this.#runAgain(piece, { rows: more, counts, set }, signal);
  }

  /** The rows that have more active latents than k, with a k that fits them all. */
  async #runAgain(
    piece: Tensor<"float32">,
    { rows, counts, set }: { rows: number[]; counts: Int32Array; set: SetRow },
    signal?: AbortSignal,
  ): Promise<void> {
    const most = rows.reduce((max, row) => Math.max(max, counts[row]!), 0);
    const whole = this.config.wholeSequences === true;
    const x = whole ? piece : gatherRows(piece, rows);
    const { out } = await this.#select(x, this.#atMost(roundUp(most)), signal);
    for (const [at, row] of rows.entries()) {
      const from = whole ? row : at;
      const count = counts[row]!;
      set(row, out.latents(from, count), out.acts(from, count));
    }
  }

  async #select(
    x: Tensor<"float32">,
    k: number,
    signal?: AbortSignal,
  ): Promise<{ counts: Int32Array; out: Selection }> {
    const { d_sae } = this.config;
    const length = d_sae / stretchesOf(d_sae);
    const feeds = {
      x,
      k: countOf(k),
      ...(this.#inStretches ? { kOfStretch: countOf(Math.min(k, length)) } : {}),
    };
    const out = await this.session.run(feeds, ["acts", "latents", "count"], signal);
    return { counts: Int32Array.from(out["count"]!.data as Float32Array), out: new Selection(out) };
  }

  /**
   * The next k: with some room for the fullest of these rows as long as that is cheap, else for 98 of 100. From few
   * rows it only grows.
   */
  #guessFrom(counts: Int32Array): void {
    const ordered = counts.toSorted();
    const at = (share: number): number =>
      roundUp((ordered[Math.floor((ordered.length - 1) * share)] ?? 0) * 1.25);
    const guess = this.#atMost(Math.max(Math.min(at(1), cheapK), at(0.98)));
    if (guess > this.#k || counts.length >= 16) this.#k = guess;
  }

  #atMost(k: number): number {
    return Math.max(1, Math.min(k, this.config.d_sae));
  }
}

/** A number as a graph is fed it. */
function countOf(n: number): Tensor<"int64"> {
  return tensor("int64", [1], BigInt64Array.of(BigInt(n)));
}

/** The fetched TopK of a run. */
class Selection {
  readonly nRows: number;
  readonly k: number;
  readonly #acts: Float32Array;
  /** Latents, every `#stride` elements. */
  readonly #latents: Int32Array | Float32Array;
  readonly #stride: number;

  constructor(out: Readonly<Record<string, Tensor>>) {
    const { dims, data } = out["acts"] as Tensor<"float32">;
    const latents = out["latents"]!;
    [this.nRows = 0, this.k = 0] = dims;
    this.#acts = data;
    if (latents.dtype === "float32") {
      [this.#latents, this.#stride] = [latents.data as Float32Array, 1];
    } else {
      // The low words of int64; all platforms of Node are little-endian.
      const { buffer, byteOffset, length } = latents.data;
      [this.#latents, this.#stride] = [new Int32Array(buffer, byteOffset, length * 2), 2];
    }
  }

  act(row: number, at: number): number {
    return this.#acts[row * this.k + at]!;
  }

  acts(row: number, n: number): Float32Array {
    return this.#acts.subarray(row * this.k, row * this.k + n);
  }

  latents(row: number, n: number): Int32Array {
    const result = new Int32Array(n);
    const from = row * this.k;
    for (let at = 0; at < n; at++) result[at] = this.#latents[this.#stride * (from + at)]!;
    return result;
  }
}

/** Rows [from, to) without a copy. */
export function rowsOf(x: Tensor<"float32">, from: number, to: number): Tensor<"float32"> {
  const width = x.dims[1] ?? 0;
  return tensor("float32", [to - from, width], x.data.subarray(from * width, to * width));
}

function gatherRows(x: Tensor<"float32">, rows: readonly number[]): Tensor<"float32"> {
  const width = x.dims[1] ?? 0;
  const data = new Float32Array(rows.length * width);
  for (const [at, row] of rows.entries())
    data.set(x.data.subarray(row * width, (row + 1) * width), at * width);
  return tensor("float32", [rows.length, width], data);
}

/** To the next multiple of 16. */
function roundUp(k: number): number {
  return Math.max(16, Math.ceil(k / 16) * 16);
}
