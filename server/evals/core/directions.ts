/** What SAEBench reads off an SAE's weights: lengths and directions of all latents. */
import { Graph, type Value } from "../../graph/graph.ts";
import {
  div,
  equal,
  gather,
  gemm,
  maximum,
  mul,
  reduceMax,
  reduceSum,
  sqrt,
  transpose,
  unsqueeze,
  where,
} from "../../graph/ops/index.ts";
import type { Device } from "../../runtime/device.ts";
import type { SaeDescription } from "../../sae/load.ts";
import { WeightValues } from "../../sae/weight-values.ts";
import { tensor } from "../../tensor/tensor.ts";

/** Figures of each latent's weights, `[d_sae]`; a cosine is NaN where there is nothing to compare. */
export interface LatentDirections {
  readonly encoderBias: Float32Array;
  readonly encoderNorm: Float32Array;
  /** Between a latent's own encoder and decoder. */
  readonly encoderDecoderCosine: Float32Array;
  /** The largest with any other latent's encoder. */
  readonly maxEncoderCosine: Float32Array;
  /** The largest with any other latent's decoder. */
  readonly maxDecoderCosine: Float32Array;
}

/** Bytes of one tensor of cosines. */
const cosineBytes = 32 * 2 ** 20;

/** Compares every latent with every other: d_sae² · d_in multiplications for encoder and decoder each. */
export async function compareDirections(
  description: SaeDescription,
  device: Device,
  report: { signal: AbortSignal; onProgress: (share: number) => void },
): Promise<LatentDirections> {
  const { d_sae } = description.config;
  const graph = buildDirections(description);
  const session = await device.load(graph, { label: `${description.path}: directions` });
  const names = [...graph.outputs.keys()];
  const found = new Map(names.map((name) => [name, new Float32Array(d_sae).fill(Number.NaN)]));
  const step = Math.max(1, Math.floor(cosineBytes / (4 * d_sae)));
  try {
    for (let from = 0; from < d_sae; from += step) {
      const n = Math.min(step, d_sae - from);
      const rows = BigInt64Array.from({ length: n }, (_, i) => BigInt(from + i));
      const out = await session.run({ rows: tensor("int64", [n], rows) }, names, report.signal);
      for (const name of names) found.get(name)!.set(out[name]!.data as Float32Array, from);
      report.onProgress((from + n) / d_sae);
    }
  } finally {
    await session.release();
  }
  const absent = (): Float32Array => new Float32Array(d_sae).fill(Number.NaN);
  return {
    encoderBias: biasOf(description),
    encoderNorm: found.get("encoder_norm")!,
    encoderDecoderCosine: found.get("encoder_decoder_cosine") ?? absent(),
    maxEncoderCosine: found.get("max_encoder_cosine")!,
    maxDecoderCosine: found.get("max_decoder_cosine")!,
  };
}

/** A gated SAE's is that of its magnitudes, as sae-bench takes it. */
function biasOf({ parameters, config }: SaeDescription): Float32Array {
  const bias = parameters.get("b_mag") ?? parameters.get("b_enc");
  return bias?.readFloat32() ?? new Float32Array(config.d_sae);
}

function buildDirections({ parameters, config }: SaeDescription): Graph {
  const { d_sae, d_in, d_out } = config;
  const graph = new Graph("directions");
  const rows = graph.input("rows", "int64", ["n"]);
  const weights = new WeightValues(graph, parameters);
  const W_dec = weights.value("W_dec");
  const W_enc = weights.has("W_enc") ? transpose(weights.value("W_enc"), [1, 0]) : W_dec;
  const all = tensor(
    "int64",
    [1, d_sae],
    BigInt64Array.from({ length: d_sae }, (_, i) => BigInt(i)),
  );
  const isSelf = equal(unsqueeze(rows, [1]), graph.constant(all));
  const unit = (matrix: Value): Value => div(matrix, maximum(normsOf(matrix), 1e-12));
  const encoder = unit(W_enc);
  const decoder = W_enc === W_dec ? encoder : unit(W_dec);
  const nearest = (matrix: Value): Value => {
    const cosines = gemm(gather(matrix, rows, 0), matrix, undefined, { transB: true });
    return reduceMax(where(isSelf, -2, cosines), [1]);
  };
  graph.output("encoder_norm", reduceSum(gather(normsOf(W_enc), rows, 0), [1]));
  graph.output("max_encoder_cosine", nearest(encoder));
  graph.output("max_decoder_cosine", nearest(decoder));
  if (d_in === d_out) {
    const product = mul(gather(encoder, rows, 0), gather(decoder, rows, 0));
    graph.output("encoder_decoder_cosine", reduceSum(product, [1]));
  }
  return graph;
}

/** `[n, d] -> [n, 1]` */
function normsOf(matrix: Value): Value {
  return sqrt(reduceSum(mul(matrix, matrix), [1], true));
}
