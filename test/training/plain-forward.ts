/** What a trained SAE does at inference, in plain double-precision sums: x -> activations and reconstruction. */
import { unreachable } from "../../server/base/errors.ts";
import type { Tensor } from "../../server/tensor/tensor.ts";
import type { TrainConfig } from "../../server/training/config.ts";
import type { Trainer } from "../../server/training/trainer.ts";

type Rows = Float64Array[];

/** What of a trainer the sums need. */
export interface PlainTrainer extends Pick<Trainer, "config" | "state"> {
  parameters(): ReadonlyMap<string, { readonly data: Tensor["data"] }>;
}

/** Reconstructions of raw activations by the trainer's present parameters, `[rows, d_out]`. */
export function plainForward(
  trainer: PlainTrainer,
  x: Tensor<"float32">,
  threshold?: number,
): Rows {
  return plainRows(trainer, x, threshold).map(({ x_hat }) => x_hat);
}

/** Activations and reconstructions of raw activations, `[rows, d_sae]` and `[rows, d_out]`. */
export function plainRows(
  trainer: PlainTrainer,
  x: { readonly dims: readonly number[]; readonly data: Float32Array | Float64Array },
  threshold?: number,
): { acts: Float64Array; x_hat: Float64Array }[] {
  const { config } = trainer;
  const parameters = trainer.parameters();
  const d = x.dims[1]!;
  const get = (name: string) =>
    Float64Array.from((parameters.get(name)?.data ?? []) as Iterable<number>);
  const W_dec = get("W_dec");
  const W_enc = parameters.has("W_enc") ? get("W_enc") : transposed(W_dec, config.d_sae);
  const b_dec = get("b_dec");
  const norm = normalization(trainer, d);
  return Array.from({ length: x.dims[0]! }, (_, row) => {
    const raw = Float64Array.from(x.data.subarray(row * d, (row + 1) * d));
    const { z, back } = norm(raw);
    const centred = config.applyBDecToInput ? z.map((it, i) => it - b_dec[i]!) : z;
    const linear = vectorTimes(centred, W_enc, config.d_sae);
    const acts = activations(linear, { config, get, W_dec, threshold });
    const out = vectorTimes(acts, W_dec, b_dec.length).map((it, i) => it + b_dec[i]!);
    if (config.skip)
      vectorTimes(z, transposed(get("W_skip"), b_dec.length), b_dec.length).forEach(
        (it, i) => (out[i]! += it),
      );
    return { acts, x_hat: back(out) };
  });
}

interface Pieces {
  readonly config: TrainConfig;
  readonly get: (name: string) => Float64Array;
  readonly W_dec: Float64Array;
  readonly threshold: number | undefined;
}

function activations(
  linear: Float64Array,
  { config, get, W_dec, threshold }: Pieces,
): Float64Array {
  if (config.architecture === "gated") {
    const [b_gate, b_mag, r_mag] = ["b_gate", "b_mag", "r_mag"].map(get) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    return linear.map((it, j) =>
      it + b_gate[j]! > 0 ? Math.max(0, it * Math.exp(r_mag[j]!) + b_mag[j]!) : 0,
    );
  }
  const b_enc = get("b_enc");
  const preActs = linear.map((it, j) => it + b_enc[j]!);
  if (config.architecture === "standard") return preActs.map((it) => Math.max(it, 0));
  if (config.architecture === "jumprelu") {
    const thresholds = get("threshold");
    return preActs.map((it, j) => (it > thresholds[j]! ? Math.max(it, 0) : 0));
  }
  const norms = config.rescaleActsByDecoderNorm ? rowNorms(W_dec, config.d_sae) : undefined;
  const scores = preActs.map((it, j) => it * (norms?.[j] ?? 1));
  if (config.architecture === "batchtopk" || config.architecture === "matryoshka")
    return preActs.map((it, j) => (scores[j]! > threshold! ? Math.max(it, 0) : 0));
  const size = config.architecture === "abstopk" ? scores.map(Math.abs) : scores;
  const least = size.toSorted().at(-config.k)!;
  return preActs.map((it, j) =>
    size[j]! >= least ? (config.architecture === "abstopk" ? it : Math.max(it, 0)) : 0,
  );
}

/** To the space in which the SAE works, and back. */
function normalization(trainer: PlainTrainer, d: number) {
  const rule = trainer.config.normalizeActivations;
  const state = trainer.state();
  const data = (name: string) => state.get(`normalization/${name}`)!.data as Float64Array;
  return (x: Float64Array): { z: Float64Array; back: (out: Float64Array) => Float64Array } => {
    switch (rule.kind) {
      case "none":
        return { z: x, back: (out) => out };
      case "scale": {
        const [into, out = into] = data("factors");
        return { z: x.map((it) => it * into!), back: (y) => y.map((it) => it / out!) };
      }
      case "constant_norm_rescale": {
        const factor = Math.sqrt(d / x.reduce((sum, it) => sum + it ** 2, 0));
        return { z: x.map((it) => it * factor), back: (y) => y.map((it) => it / factor) };
      }
      case "layer_norm": {
        const mean = x.reduce((sum, it) => sum + it, 0) / d;
        const std = Math.sqrt(x.reduce((sum, it) => sum + (it - mean) ** 2, 0) / (d - 1));
        return {
          z: x.map((it) => (it - mean) / (std + 1e-5)),
          back: (y) => y.map((it) => it * std + mean),
        };
      }
      case "covariance_whitening": {
        const [mean, matrix, inverse] = [data("mean"), data("matrix"), data("inverse")];
        return {
          z: vectorTimes(
            x.map((it, i) => it - mean[i]!),
            matrix,
            d,
          ),
          back: (y) => vectorTimes(y, inverse, d).map((it, i) => it + mean[i]!),
        };
      }
      default:
        return unreachable(rule);
    }
  };
}

function vectorTimes(v: Float64Array, matrix: Float64Array, columns: number): Float64Array {
  const out = new Float64Array(columns);
  v.forEach((factor, i) => {
    for (let j = 0; j < columns; j++) out[j]! += factor * matrix[i * columns + j]!;
  });
  return out;
}

function transposed(matrix: Float64Array, rows: number): Float64Array {
  const columns = matrix.length / rows;
  return Float64Array.from(
    matrix,
    (_, at) => matrix[(at % rows) * columns + Math.floor(at / rows)]!,
  );
}

function rowNorms(matrix: Float64Array, rows: number): Float64Array {
  const width = matrix.length / rows;
  return Float64Array.from({ length: rows }, (_, row) =>
    Math.hypot(...matrix.subarray(row * width, (row + 1) * width)),
  );
}
