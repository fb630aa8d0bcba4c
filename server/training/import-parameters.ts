/** Parameters of other libraries by our names and in our orientation. */
import { toFloat32 } from "../tensor/half.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { transposed } from "./parameters.ts";

/** dictionary_learning's names; "T" where a torch.nn.Linear keeps the matrix the other way round. */
const foreign: Readonly<Record<string, string>> = {
  "encoder.weight": "T W_enc",
  "encoder.bias": "b_enc",
  "decoder.weight": "T W_dec",
  "decoder.bias": "b_dec",
  bias: "b_dec",
  decoder_bias: "b_dec",
  gate_bias: "b_gate",
  mag_bias: "b_mag",
};

/** Buffers of the libraries that are no parameters. */
const buffers = new Set(["k", "topk_threshold", "group_sizes"]);

/** Statistics of a whitening, by SAELens's names; ours in a trainer's state. */
const statistics: Readonly<Record<string, string>> = {
  "whitening/mean": "normalization/mean",
  "whitening/matrix": "normalization/matrix",
  "whitening/inverse_matrix": "normalization/inverse",
};

/** Initial weights, sorted into parameters (float32, outer orientation) and statistics (as they are). */
export interface ImportedParameters {
  readonly parameters: ReadonlyMap<string, Tensor<"float32">>;
  readonly statistics: ReadonlyMap<string, Tensor>;
}

/** Renames and turns what SAELens or dictionary_learning wrote; our own names stay. */
export function importParameters(tensors: ReadonlyMap<string, Tensor>): ImportedParameters {
  const parameters = new Map<string, Tensor<"float32">>();
  const found = new Map<string, Tensor>();
  for (const [name, value] of tensors) {
    const statistic = statistics[name];
    if (statistic !== undefined) found.set(statistic, value);
    // A scalar threshold is an average over steps, not a parameter.
    else if (buffers.has(name) || (name === "threshold" && value.dims.length === 0)) continue;
    else {
      const [ours, turned] = ourName(name);
      const data = toFloat32(value);
      parameters.set(
        ours,
        turned ? transposed(data, value.dims) : tensor("float32", value.dims, data),
      );
    }
  }
  return { parameters, statistics: found };
}

function ourName(name: string): [name: string, turned: boolean] {
  const ours = foreign[name] ?? name;
  return ours.startsWith("T ") ? [ours.slice(2), true] : [ours, false];
}
