/** Numbers made of logits, and their gradients with regard to the residual that the final norm reads. */
import { backward, gradients } from "../graph/gradients.ts";
import type { Value } from "../graph/graph.ts";
import {
  cast,
  constant,
  div,
  equal,
  exp,
  gather,
  gemm,
  mul,
  neg,
  reduceSum,
  sub,
  tanh,
} from "../graph/ops/index.ts";
import type { Session } from "../runtime/device.ts";
import { bytesPerElement, type Tensor, tensor } from "../tensor/tensor.ts";
import { BlockBuilder } from "./block-builder.ts";
import { rowsTensor } from "./blocks.ts";
import type { LanguageModel } from "./language-model.ts";

/** Bytes of one slice of the vocabulary's weights as f32, and of one tensor of logits within a run. */
const sliceBytes = 64 * 2 ** 20;
const logitBytes = 32 * 2 ** 20;

/** weight · logit of token `id` at a position, after a soft cap where the model has one. */
export interface LogitTerm {
  readonly position: number;
  readonly id: number;
  readonly weight: number;
}

/** A number and its gradient with regard to the last residual `[tokens, d_model]`. */
export interface ResidGradient {
  readonly value: number;
  readonly dResid: Float32Array;
}

/** A loss over the vocabulary at every row, in one slice of it. */
type SliceLoss = "next-token" | "divergence";

/** The way back from the vocabulary to the last residual. Sessions are loaded when first needed. */
export class GradientUnembedding {
  readonly #lm: LanguageModel;
  readonly #slices: readonly (readonly [number, number])[];
  readonly #sessions = new Map<string, Session>();

  constructor(lm: LanguageModel) {
    this.#lm = lm;
    const { d_vocab, d_model } = lm.config;
    const parts = Math.ceil((d_vocab * d_model * bytesPerElement.float32) / sliceBytes);
    const bounds = Array.from({ length: parts + 1 }, (_, i) => Math.round((i * d_vocab) / parts));
    this.#slices = bounds.slice(1).map((to, i) => [bounds[i]!, to] as const);
  }

  /** Σ weight · logit. Reads only the rows of W_U that are asked for. */
  async logits(
    resid: Float32Array,
    terms: readonly LogitTerm[],
    signal?: AbortSignal,
  ): Promise<ResidGradient> {
    const { d_model } = this.#lm.config;
    const positions = [...new Set(terms.map(({ position }) => position))];
    const directions = new Float32Array(terms.length * d_model);
    terms.forEach(({ id }, i) => {
      directions.set(this.#lm.named.readRows(this.#matrix, id, id + 1), i * d_model);
    });
    const session = await this.#session("logits", (b) => buildLogits(b, this.#lm));
    const out = await session.run(
      {
        resid: rowsTensor(picked(resid, positions, d_model), [positions.length, d_model]),
        directions: rowsTensor(directions, [terms.length, d_model]),
        row: tensor(
          "int64",
          [terms.length],
          BigInt64Array.from(terms, ({ position }) => BigInt(positions.indexOf(position))),
        ),
        weight: tensor(
          "float32",
          [terms.length, 1],
          Float32Array.from(terms, (t) => t.weight),
        ),
      },
      ["value", "d_resid"],
      signal,
    );
    const dResid = new Float32Array(resid.length);
    positions.forEach((position, i) => {
      const row = (out["d_resid"]!.data as Float32Array).subarray(i * d_model, (i + 1) * d_model);
      dResid.set(row, position * d_model);
    });
    return { value: Number(out["value"]!.data[0]), dResid };
  }

  /** Σ weight · −ln p(target) over the rows; a target of −1 counts nothing. */
  async nextToken(
    resid: Float32Array,
    targets: Int32Array,
    weights: Float32Array,
    signal?: AbortSignal,
  ): Promise<ResidGradient> {
    const { unembedding } = this.#lm;
    const used = weights.map((weight, row) => (targets[row]! < 0 ? 0 : weight));
    const x = await unembedding.normalize(resid, signal);
    const { logSumExp } = await unembedding.summarize(x, { k: 1, targets }, signal);
    const feeds = ([rowFrom, rowTo]: Range, [from, to]: Range) => ({
      x: this.#rows(x, rowFrom, rowTo),
      lse: column(logSumExp, rowFrom, rowTo),
      weight: column(used, rowFrom, rowTo),
      target: tensor(
        "int32",
        [rowTo - rowFrom, 1],
        Int32Array.from(targets.subarray(rowFrom, rowTo), (id) =>
          id >= from && id < to ? id - from : -1,
        ),
      ),
    });
    const { dx, value } = await this.#overSlices("next-token", used, feeds, signal);
    return { value, dResid: await this.#throughNorm(resid, dx, signal) };
  }

  /** Σ weight · KL(p of `original` ‖ p of `resid`) over the rows, both residuals that the final norm reads. */
  async divergence(
    resid: Float32Array,
    original: Float32Array,
    weights: Float32Array,
    signal?: AbortSignal,
  ): Promise<ResidGradient> {
    const { unembedding } = this.#lm;
    const read = async (rows: Float32Array) => {
      const x = await unembedding.normalize(rows, signal);
      const targets = new Int32Array(weights.length).fill(-1);
      return { x, lse: (await unembedding.summarize(x, { k: 1, targets }, signal)).logSumExp };
    };
    const own = await read(resid);
    const other = await read(original);
    const feeds = ([from, to]: Range) => ({
      x: this.#rows(own.x, from, to),
      lse: column(own.lse, from, to),
      original: this.#rows(other.x, from, to),
      original_lse: column(other.lse, from, to),
      weight: column(weights, from, to),
    });
    const { dx, value } = await this.#overSlices("divergence", weights, feeds, signal);
    return { value, dResid: await this.#throughNorm(resid, dx, signal) };
  }

  /** Releases all sessions. */
  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
    this.#sessions.clear();
    this.#lm.device.ledger.release(this.#ledgerLine);
  }

  get #ledgerLine(): string {
    return `${this.#lm.id}: backward unembedding`;
  }

  get #matrix(): string {
    const { config, names } = this.#lm.architecture;
    return config.tiedEmbedding ? names.embedding : names.unembedding;
  }

  #rows(x: Float32Array, from: number, to: number): Tensor {
    const { d_model } = this.#lm.config;
    return rowsTensor(x.subarray(from * d_model, to * d_model), [to - from, d_model]);
  }

  async #session(key: string, build: (b: BlockBuilder) => void): Promise<Session> {
    const known = this.#sessions.get(key);
    if (known !== undefined) return known;
    const { config, named, device, id } = this.#lm;
    const b = new BlockBuilder(`backward ${key}`, config, (name, dims) => named.source(name, dims));
    build(b);
    const session = await device.load(b.graph, { label: `${id} backward ${key}` });
    this.#sessions.set(key, session);
    return session;
  }

  /** Runs the rows with a weight against every slice; sums the gradients of normalised rows. */
  async #overSlices(
    loss: SliceLoss,
    weights: Float32Array,
    feeds: (rows: Range, slice: Range) => Record<string, Tensor>,
    signal: AbortSignal | undefined,
  ): Promise<{ dx: Float32Array; value: number }> {
    const { d_model, d_vocab } = this.#lm.config;
    const { ledger } = this.#lm.device;
    ledger.require([{ what: this.#ledgerLine, bytes: d_vocab * d_model * 4 }]);
    ledger.plan(this.#ledgerLine, d_vocab * d_model * 4);
    const dx = new Float32Array(weights.length * d_model);
    let value = 0;
    for (const slice of this.#slices) {
      const [from, to] = slice;
      const session = await this.#session(`${loss} ${from} to ${to}`, (b) =>
        this.#buildSlice(b, loss, slice),
      );
      const step = Math.max(1, Math.floor(logitBytes / ((to - from) * 4)));
      for (let row = 0; row < weights.length; row += step) {
        const rows = [row, Math.min(weights.length, row + step)] as const;
        if (weights.subarray(...rows).every((weight) => weight === 0)) continue;
        const out = await session.run(feeds(rows, slice), ["d_x", "value"], signal);
        const part = out["d_x"]!.data as Float32Array;
        for (let i = 0; i < part.length; i++) dx[row * d_model + i]! += part[i]!;
        value += Number(out["value"]!.data[0]);
      }
    }
    return { dx, value };
  }

  #buildSlice(b: BlockBuilder, loss: SliceLoss, [from, to]: Range): void {
    const { d_model, d_vocab, logitSoftcap } = b.config;
    const { graph } = b;
    const W_U = graph.weight(
      "W_U",
      this.#lm.named.rowSource(this.#matrix, [d_vocab, d_model], [from, to]),
    );
    const logitsOf = (x: Value) =>
      softCapped(gemm(x, W_U, undefined, { transB: true }), logitSoftcap);
    const input = (name: string, width: number) => graph.input(name, "float32", ["rows", width]);
    const x = input("x", d_model);
    const weight = input("weight", 1);
    const logits = logitsOf(x);
    const logP = sub(logits, input("lse", 1));
    const p = exp(logP);
    if (loss === "next-token") {
      const target = graph.input("target", "int32", ["rows", 1]);
      const ids = tensor(
        "int32",
        [1, to - from],
        Int32Array.from({ length: to - from }, (_, i) => i),
      );
      const isTarget = cast(equal(constant(graph, ids), target), "float32");
      graph.output("value", neg(reduceSum(mul(mul(isTarget, logP), weight), [0, 1])));
      const dLogits = mul(sub(p, isTarget), weight);
      graph.output("d_x", backward([{ value: logits, dy: dLogits }], [x])[0]!);
      return;
    }
    const originalLogP = sub(logitsOf(input("original", d_model)), input("original_lse", 1));
    const originalP = exp(originalLogP);
    const divergence = mul(originalP, sub(originalLogP, logP));
    graph.output("value", reduceSum(mul(divergence, weight), [0, 1]));
    const dLogits = mul(sub(p, originalP), weight);
    graph.output("d_x", backward([{ value: logits, dy: dLogits }], [x])[0]!);
  }

  async #throughNorm(
    resid: Float32Array,
    dx: Float32Array,
    signal: AbortSignal | undefined,
  ): Promise<Float32Array> {
    const rows = resid.length / this.#lm.config.d_model;
    const session = await this.#session("final norm", (b) => {
      const dims = ["rows", b.config.d_model];
      const input = b.graph.input("resid", "float32", dims);
      const value = b.norm(input, this.#lm.architecture.names.finalNorm);
      const dy = b.graph.input("d_x", "float32", dims);
      b.graph.output("d_resid", backward([{ value, dy }], [input])[0]!);
    });
    const feeds = { resid: this.#rows(resid, 0, rows), d_x: this.#rows(dx, 0, rows) };
    const out = await session.run(feeds, ["d_resid"], signal);
    return out["d_resid"]!.data as Float32Array;
  }
}

type Range = readonly [number, number];

function buildLogits(b: BlockBuilder, lm: LanguageModel): void {
  const { d_model, logitSoftcap } = b.config;
  const { graph } = b;
  const resid = graph.input("resid", "float32", ["rows", d_model]);
  const directions = graph.input("directions", "float32", ["terms", d_model]);
  const row = graph.input("row", "int64", ["terms"]);
  const weight = graph.input("weight", "float32", ["terms", 1]);
  const x = b.norm(resid, lm.architecture.names.finalNorm);
  const logits = softCapped(reduceSum(mul(gather(x, row), directions), [1], true), logitSoftcap);
  const value = reduceSum(mul(logits, weight), [0, 1]);
  graph.output("value", value);
  graph.output("d_resid", gradients(value, [resid])[0]!);
}

function softCapped(logits: Value, cap: number | undefined): Value {
  return cap === undefined ? logits : mul(tanh(div(logits, cap)), cap);
}

function picked(resid: Float32Array, positions: readonly number[], width: number): Float32Array {
  const rows = new Float32Array(positions.length * width);
  positions.forEach((position, i) => {
    rows.set(resid.subarray(position * width, (position + 1) * width), i * width);
  });
  return rows;
}

function column(values: Float32Array | Float64Array, from: number, to: number): Tensor {
  return rowsTensor(Float32Array.from(values.subarray(from, to)), [to - from, 1]);
}
