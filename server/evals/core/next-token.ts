/** Next-token distributions of three runs of a model, compared at every row without their logits leaving the device. */
import { Graph } from "../../graph/graph.ts";
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
} from "../../graph/ops/index.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import type { Device, Session } from "../../runtime/device.ts";
import { type StoredTensor, type Tensor, tensor } from "../../tensor/tensor.ts";

/** Bytes of one slice of W_U as f32, and of one tensor of logits within a run. */
const sliceBytes = 64 * 2 ** 20;
const logitBytes = 16 * 2 ** 20;

/** The matrix that turns normalised rows into logits. */
export interface Vocabulary {
  readonly d_model: number;
  readonly d_vocab: number;
  readonly logitSoftcap: number | undefined;
  /** Rows [from, to) of W_U, `[to - from, d_model]`. */
  rows(from: number, to: number): Tensor | StoredTensor;
}

/** A model's unembedding. */
export function vocabularyOf(lm: LanguageModel): Vocabulary {
  const { config, names } = lm.architecture;
  const { d_model, d_vocab, logitSoftcap, tiedEmbedding } = config;
  const name = tiedEmbedding ? names.embedding : names.unembedding;
  return {
    d_model,
    d_vocab,
    logitSoftcap,
    rows: (from, to) => lm.named.rowSource(name, [d_vocab, d_model], [from, to]),
  };
}

/** Normalised rows of the three runs, each `[tokens, d_model]`. */
export interface ThreeRuns {
  readonly clean: Float32Array;
  /** With the hook point replaced by its reconstruction. */
  readonly sae: Float32Array;
  /** With the hook point set to zero. */
  readonly ablated: Float32Array;
}

/** Figures of every row, in nats; losses are NaN where the target is −1. */
export interface Comparison {
  readonly loss: Readonly<Record<keyof ThreeRuns, Float64Array>>;
  /** KL(clean ‖ changed) */
  readonly divergence: Readonly<Record<"sae" | "ablated", Float64Array>>;
}

const runNames = ["clean", "sae", "ablated"] as const;
const changedNames = ["sae", "ablated"] as const;

/** Sessions over slices of the vocabulary. */
export class NextTokenComparison {
  readonly #vocabulary: Vocabulary;
  readonly #device: Device;
  readonly #slices: readonly (readonly [number, number])[];
  readonly #sessions = new Map<number, Session>();

  constructor(vocabulary: Vocabulary, device: Device, bytesOfSlice: number = sliceBytes) {
    this.#vocabulary = vocabulary;
    this.#device = device;
    const { d_vocab, d_model } = vocabulary;
    const parts = Math.ceil((d_vocab * d_model * 4) / bytesOfSlice);
    const bounds = Array.from({ length: parts + 1 }, (_, i) => Math.round((i * d_vocab) / parts));
    this.#slices = bounds.slice(1).map((to, i) => [bounds[i]!, to] as const);
  }

  /** Compares all rows; `targets` are the next tokens, −1 where there is none. */
  async compare(runs: ThreeRuns, targets: Int32Array, signal?: AbortSignal): Promise<Comparison> {
    const nRows = targets.length;
    const merge = new SliceMerge(nRows);
    for (const [index, slice] of this.#slices.entries()) {
      const session = await this.#session(index);
      const [from, to] = slice;
      const step = Math.max(1, Math.floor(logitBytes / ((to - from) * 4)));
      for (let row = 0; row < nRows; row += step) {
        const end = Math.min(nRows, row + step);
        const local = targets.subarray(row, end);
        const out = await session.run(this.#feeds(runs, [row, end], local, slice), outputs, signal);
        merge.add(row, out, local, slice);
      }
    }
    return merge.finish();
  }

  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
    this.#sessions.clear();
  }

  #feeds(
    runs: ThreeRuns,
    [row, end]: readonly [number, number],
    targets: Int32Array,
    [from, to]: readonly [number, number],
  ): Record<string, Tensor> {
    const { d_model } = this.#vocabulary;
    const local = BigInt64Array.from(targets, (id) =>
      BigInt(id >= from && id < to ? id - from : 0),
    );
    const rows = (name: keyof ThreeRuns): Tensor => {
      const data = runs[name].subarray(row * d_model, end * d_model);
      return tensor("float32", [end - row, d_model], data as Float32Array<ArrayBuffer>);
    };
    const target = tensor("int64", [end - row, 1], local);
    return { clean: rows("clean"), sae: rows("sae"), ablated: rows("ablated"), target };
  }

  async #session(index: number): Promise<Session> {
    const known = this.#sessions.get(index);
    if (known) return known;
    const [from, to] = this.#slices[index]!;
    const graph = buildSlice(this.#vocabulary, from, to);
    const session = await this.#device.load(graph, { label: `next tokens ${from} to ${to}` });
    this.#sessions.set(index, session);
    return session;
  }
}

const outputs = [
  ...runNames.flatMap((name) => [`${name}_max`, `${name}_sum`, `${name}_target`]),
  ...changedNames.map((name) => `${name}_gap`),
];

/** Per row and run: max, Σ e^(logit − max), the target's logit; per changed run Σ e^(clean − max)·(clean − changed). */
function buildSlice(vocabulary: Vocabulary, from: number, to: number): Graph {
  const { d_model, logitSoftcap } = vocabulary;
  const graph = new Graph(`compare${from}`);
  const W_U = graph.weight("W_U", vocabulary.rows(from, to));
  const target = graph.input("target", "int64", ["rows", 1]);
  const [clean, ...changed] = runNames.map((name) => {
    const x = graph.input(name, "float32", ["rows", d_model]);
    const raw = gemm(x, W_U, undefined, { transB: true });
    const logits =
      logitSoftcap === undefined ? raw : mul(tanh(div(raw, logitSoftcap)), logitSoftcap);
    const max = reduceMax(logits, [1], true);
    const powers = exp(sub(logits, max));
    graph.output(`${name}_max`, max);
    graph.output(`${name}_sum`, reduceSum(powers, [1], true));
    graph.output(`${name}_target`, gatherElements(logits, target, 1));
    return { name, logits, powers };
  });
  for (const { name, logits } of changed) {
    const gap = mul(clean!.powers, sub(clean!.logits, logits));
    graph.output(`${name}_gap`, reduceSum(gap, [1], true));
  }
  return graph;
}

/** Sums of one run over the slices so far, relative to its largest logit so far. */
interface RunSums {
  readonly max: Float64Array;
  readonly sum: Float64Array;
  readonly target: Float64Array;
}

class SliceMerge {
  readonly #runs: Readonly<Record<keyof ThreeRuns, RunSums>>;
  readonly #gaps: Readonly<Record<"sae" | "ablated", Float64Array>>;

  constructor(nRows: number) {
    const sums = (): RunSums => ({
      max: new Float64Array(nRows).fill(-Infinity),
      sum: new Float64Array(nRows),
      target: new Float64Array(nRows).fill(Number.NaN),
    });
    this.#runs = { clean: sums(), sae: sums(), ablated: sums() };
    this.#gaps = { sae: new Float64Array(nRows), ablated: new Float64Array(nRows) };
  }

  add(
    first: number,
    out: Record<string, Tensor>,
    targets: Int32Array,
    [from, to]: readonly [number, number],
  ): void {
    const found = (name: string): Float32Array => out[name]!.data as Float32Array;
    for (const name of runNames) {
      const run = this.#runs[name];
      const [max, sum, target] = [`${name}_max`, `${name}_sum`, `${name}_target`].map(found);
      const gaps = name === "clean" ? changedNames : [];
      targets.forEach((id, i) => {
        const row = first + i;
        const top = Math.max(run.max[row]!, max![i]!);
        const old = Math.exp(run.max[row]! - top);
        const fresh = Math.exp(max![i]! - top);
        for (const changed of gaps) {
          const gap = this.#gaps[changed];
          gap[row] = gap[row]! * old + found(`${changed}_gap`)[i]! * fresh;
        }
        run.sum[row] = run.sum[row]! * old + sum![i]! * fresh;
        run.max[row] = top;
        if (id >= from && id < to) run.target[row] = target![i]!;
      });
    }
  }

  finish(): Comparison {
    const { clean, sae, ablated } = this.#runs;
    const lse = { clean: logSum(clean), sae: logSum(sae), ablated: logSum(ablated) };
    const loss = (name: keyof ThreeRuns): Float64Array =>
      lse[name].map((it, row) => it - this.#runs[name].target[row]!);
    const divergence = (name: "sae" | "ablated"): Float64Array =>
      lse[name].map((it, row) => this.#gaps[name][row]! / clean.sum[row]! + it - lse.clean[row]!);
    return {
      loss: { clean: loss("clean"), sae: loss("sae"), ablated: loss("ablated") },
      divergence: { sae: divergence("sae"), ablated: divergence("ablated") },
    };
  }
}

function logSum({ max, sum }: RunSums): Float64Array {
  return max.map((it, row) => it + Math.log(sum[row]!));
}
