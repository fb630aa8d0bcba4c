/**
 * Final norm and unembedding. The vocabulary is cut into slices, each a session; only what was asked for leaves the
 * device: logits of chosen rows, or their log-sum-exp and largest entries.
 */
import type { Device, Session } from "../runtime/device.ts";
import { Graph } from "../graph/graph.ts";
import {
  div,
  exp,
  gatherElements,
  gemm,
  mul,
  reduceMax,
  reduceSum,
  sub,
  tanh,
  topk,
} from "../graph/ops/index.ts";
import { int64Tensor } from "../graph/small-tensor.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { Architecture } from "./architectures/architecture.ts";
import { BlockBuilder } from "./block-builder.ts";
import type { LmWeights } from "./lm-weights.ts";

/** Bytes of one slice's weights as f32, and of one tensor of logits within a run. */
const sliceBytes = 64 * 2 ** 20;
const logitBytes = 32 * 2 ** 20;

/** What is known about the next token at each row without its logits leaving the device. */
export interface RowSummary {
  /** log Σ e^logit over the vocabulary. */
  readonly logSumExp: Float64Array;
  /** Capped logit of the row's target; NaN where the target is −1. */
  readonly targetLogit: Float64Array;
  /** The k largest, before a soft cap (which keeps their order): `[rows, k]`, largest first. */
  readonly topIds: Int32Array;
  readonly topValues: Float32Array;
  readonly k: number;
}

/** The way from the last residual to the vocabulary. */
export class Unembedding {
  readonly #model: string;
  readonly #architecture: Architecture;
  readonly #weights: LmWeights;
  readonly #device: Device;
  readonly #slices: readonly (readonly [number, number])[];
  readonly #resident = new Map<number, Session>();
  #norm: Session | undefined;

  constructor(model: string, architecture: Architecture, weights: LmWeights, device: Device) {
    this.#model = model;
    this.#architecture = architecture;
    this.#weights = weights;
    this.#device = device;
    const { d_vocab, d_model } = architecture.config;
    const parts = Math.ceil((d_vocab * d_model * 4) / sliceBytes);
    const bounds = Array.from({ length: parts + 1 }, (_, i) => Math.round((i * d_vocab) / parts));
    this.#slices = bounds.slice(1).map((to, i) => [bounds[i]!, to] as const);
  }

  /** Bytes of all slices as f32. */
  get bytes(): number {
    const { d_vocab, d_model } = this.#architecture.config;
    return d_vocab * d_model * 4;
  }

  /** Bytes of one slice: the least that must fit. */
  get smallestBytes(): number {
    return this.bytes / this.#slices.length;
  }

  /** Name of the matrix. */
  get #name(): string {
    const { config, names } = this.#architecture;
    return config.tiedEmbedding ? names.embedding : names.unembedding;
  }

  /** Throws if norm or matrix are missing or have another shape than the config says. */
  checkShapes(): void {
    const { config, names } = this.#architecture;
    this.#weights.check(names.embedding, [config.d_vocab, config.d_model]);
    this.#weights.check(this.#name, [config.d_vocab, config.d_model]);
    this.#weights.check(`${names.finalNorm.name}.weight`, [config.d_model]);
    if (names.positions !== undefined) {
      this.#weights.check(names.positions, [config.n_ctx, config.d_model]);
    }
  }

  /** The final norm's output. `[rows, d_model] -> [rows, d_model]` */
  async normalize(resid: Float32Array, signal?: AbortSignal): Promise<Float32Array> {
    const { d_model } = this.#architecture.config;
    const x = tensor(
      "float32",
      [resid.length / d_model, d_model],
      resid as Float32Array<ArrayBuffer>,
    );
    if (x.dims[0] === 0) return resid;
    this.#norm ??= await this.#openNorm();
    const { ln_final } = await this.#norm.run({ resid: x }, ["ln_final"], signal);
    return ln_final!.data as Float32Array;
  }

  /** The final norm's weight as a factor per dimension `[d_model]`. */
  normScale(): Float32Array {
    const { name, plusOne = false } = this.#architecture.names.finalNorm;
    const scale = this.#weights.readFloat32(`${name}.weight`);
    return plusOne ? scale.map((x) => x + 1) : scale;
  }

  /** Capped logits of normalised rows. `[rows, d_model] -> [rows, d_vocab]` */
  async logits(x: Float32Array, signal?: AbortSignal): Promise<Float32Array> {
    const { d_vocab, d_model } = this.#architecture.config;
    const result = new Float32Array((x.length / d_model) * d_vocab);
    await this.#eachRun(
      x,
      1,
      { outputs: ["logits"], signal },
      ({ rows, slice: [from, to] }, out) => {
        const logits = out["logits"]!.data as Float32Array;
        const width = to - from;
        for (let row = rows[0]; row < rows[1]; row++) {
          const at = (row - rows[0]) * width;
          result.set(logits.subarray(at, at + width), row * d_vocab + from);
        }
      },
    );
    return result;
  }

  /** The summary of normalised rows. `targets`: the token asked for at each row, or −1. */
  async summarize(
    x: Float32Array,
    { k, targets }: { readonly k: number; readonly targets: Int32Array },
    signal?: AbortSignal,
  ): Promise<RowSummary> {
    const summary = new SummaryMerge(
      targets.length,
      Math.min(k, this.#architecture.config.d_vocab),
    );
    const outputs = ["max", "sum", "target_logit", "top_values", "top_indices"];
    await this.#eachRun(x, k, { outputs, targets, signal }, (part, out) => {
      summary.add(part, out, targets);
    });
    return summary.finish();
  }

  /** Releases all sessions. */
  async release(): Promise<void> {
    await this.#norm?.release();
    this.#norm = undefined;
    for (const session of this.#resident.values()) await session.release();
    this.#resident.clear();
    this.#device.ledger.release(this.ledgerLine);
  }

  /** The slices' line in the plan of memory. */
  get ledgerLine(): string {
    return `${this.#model}: unembedding`;
  }

  /** Runs all rows against all slices, slice by slice, in pieces of bounded size. */
  async #eachRun(
    x: Float32Array,
    k: number,
    { outputs, targets, signal }: RunOptions,
    use: (part: RunPart, out: Record<string, Tensor>) => void,
  ): Promise<void> {
    const { d_model } = this.#architecture.config;
    const nRows = x.length / d_model;
    for (const [index, slice] of this.#slices.entries()) {
      const [from, to] = slice;
      const step = Math.max(1, Math.floor(logitBytes / ((to - from) * 4)));
      await this.#withSlice(index, async (session) => {
        for (let row = 0; row < nRows; row += step) {
          const end = Math.min(nRows, row + step);
          const rows = x.subarray(row * d_model, end * d_model) as Float32Array<ArrayBuffer>;
          const local = BigInt64Array.from({ length: end - row }, (_, i) => {
            const target = targets?.[row + i] ?? -1;
            return BigInt(target >= from && target < to ? target - from : 0);
          });
          const feeds = {
            x: tensor("float32", [end - row, d_model], rows),
            k: int64Tensor([Math.min(k, to - from)]),
            target: tensor("int64", [end - row, 1], local),
          };
          const out = await session.run(feeds, outputs, signal);
          use({ rows: [row, end], slice }, out);
        }
      });
    }
  }

  /** Slices stay loaded while the budget has room for all of them; else each is loaded, used and dropped. */
  async #withSlice(index: number, use: (session: Session) => Promise<void>): Promise<void> {
    const known = this.#resident.get(index);
    if (known !== undefined) return use(known);
    const { ledger } = this.#device;
    const planned = ledger.status().planned.reduce((sum, { bytes }) => sum + bytes, 0);
    const fits = this.#resident.size > 0 || planned + this.bytes <= ledger.budget;
    ledger.require([{ what: this.ledgerLine, bytes: fits ? this.bytes : this.smallestBytes }]);
    const session = await this.#openSlice(index);
    if (fits) {
      this.#resident.set(index, session);
      ledger.plan(this.ledgerLine, this.bytes);
      return use(session);
    }
    try {
      await use(session);
    } finally {
      await session.release();
    }
  }

  async #openNorm(): Promise<Session> {
    const { config, names } = this.#architecture;
    const b = new BlockBuilder("final_norm", config, (name, dims) => {
      this.#weights.checkFinite(name);
      return this.#weights.source(name, dims);
    });
    const resid = b.graph.input("resid", "float32", ["rows", config.d_model]);
    b.graph.output("ln_final", b.norm(resid, names.finalNorm));
    return this.#device.load(b.graph, { label: `${this.#model} final norm` });
  }

  async #openSlice(index: number): Promise<Session> {
    const { d_model, d_vocab, logitSoftcap } = this.#architecture.config;
    const [from, to] = this.#slices[index]!;
    const graph = new Graph(`unembedding${index}`);
    const x = graph.input("x", "float32", ["rows", d_model]);
    const k = graph.input("k", "int64", [1]);
    const target = graph.input("target", "int64", ["rows", 1]);
    const W_U = graph.weight(
      "W_U",
      this.#weights.rowSource(this.#name, [d_vocab, d_model], [from, to]),
    );
    const raw = gemm(x, W_U, undefined, { transB: true });
    const logits =
      logitSoftcap === undefined ? raw : mul(tanh(div(raw, logitSoftcap)), logitSoftcap);
    const max = reduceMax(logits, [1], true);
    const top = topk(raw, k, { axis: 1, kDim: "k" });
    graph.output("logits", logits);
    graph.output("max", max);
    graph.output("sum", reduceSum(exp(sub(logits, max)), [1], true));
    graph.output("target_logit", gatherElements(logits, target, 1));
    graph.output("top_values", top.values);
    graph.output("top_indices", top.indices);
    return this.#device.load(graph, { label: `${this.#model} unembedding ${from} to ${to}` });
  }
}

interface RunOptions {
  readonly outputs: readonly string[];
  readonly targets?: Int32Array;
  readonly signal: AbortSignal | undefined;
}

interface RunPart {
  readonly rows: readonly [number, number];
  readonly slice: readonly [number, number];
}

/** Puts the slices' answers together. */
class SummaryMerge {
  readonly #k: number;
  readonly #max: Float64Array;
  readonly #sum: Float64Array;
  readonly #target: Float64Array;
  readonly #top: { id: number; value: number }[][];

  constructor(rows: number, k: number) {
    this.#k = k;
    this.#max = new Float64Array(rows).fill(-Infinity);
    this.#sum = new Float64Array(rows);
    this.#target = new Float64Array(rows).fill(Number.NaN);
    this.#top = Array.from({ length: rows }, () => []);
  }

  add(
    { rows: [from, to], slice }: RunPart,
    out: Record<string, Tensor>,
    targets: Int32Array,
  ): void {
    const [max, sum, target] = ["max", "sum", "target_logit"].map(
      (name) => out[name]!.data as Float32Array,
    );
    const values = out["top_values"]!.data as Float32Array;
    const indices = out["top_indices"]!.data as BigInt64Array;
    const k = values.length / (to - from);
    for (let row = from; row < to; row++) {
      const i = row - from;
      const top = Math.max(this.#max[row]!, max![i]!);
      this.#sum[row] =
        this.#sum[row]! * Math.exp(this.#max[row]! - top) + sum![i]! * Math.exp(max![i]! - top);
      this.#max[row] = top;
      const id = targets[row]!;
      if (id >= slice[0] && id < slice[1]) this.#target[row] = target![i]!;
      const best = this.#top[row]!;
      for (let j = i * k; j < (i + 1) * k; j++) {
        best.push({ id: Number(indices[j]!) + slice[0], value: values[j]! });
      }
      best.sort((a, b) => b.value - a.value || a.id - b.id);
      best.length = Math.min(best.length, this.#k);
    }
  }

  finish(): RowSummary {
    const top = this.#top.flat();
    return {
      logSumExp: this.#max.map((max, row) => max + Math.log(this.#sum[row]!)),
      targetLogit: this.#target,
      topIds: Int32Array.from(top, ({ id }) => id),
      topValues: Float32Array.from(top, ({ value }) => value),
      k: this.#k,
    };
  }
}
