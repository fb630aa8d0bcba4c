import type { Value } from "../../graph/graph.ts";
import {
  add,
  concat,
  cumsum,
  div,
  greaterOrEqual,
  matmul,
  mul,
  reduceSum,
  relu,
  reshape,
  slice,
  softmax,
  sqrt,
  sub,
  topk as largest,
  transpose,
  where,
} from "../../graph/ops/index.ts";
import type { Architecture, Pieces } from "./architecture.ts";
import { reconstructs } from "./linear-encoder.ts";

/**
 * Attention over the codes of earlier tokens predicts a part of x; latents encode what is left, and the output is
 * both. arXiv:2511.01836; sae-lens@6.54 temporal_sae.py. Needs whole sequences: row t sees rows 0 … t.
 *
 * The activations are the novel codes. Decoding them alone gives their part only; with x, the predicted part is added.
 */
export const temporal: Architecture = {
  name: "temporal",
  ...reconstructs,
  addsBDec: ({ options, applyBDecToInput }) => !options["tied_weights"] || applyBDecToInput,
  parameters({ d_in, d_sae, options }) {
    const width = d_sae / Number(options["bottleneck_factor"]);
    const shapes: Record<string, readonly number[]> = { W_dec: [d_sae, d_in], b_dec: [d_in] };
    if (!options["tied_weights"]) shapes["W_enc"] = [d_in, d_sae];
    for (let layer = 0; layer < Number(options["n_attn_layers"]); layer++) {
      const of = (name: string): string => `attn_layers.${layer}.${name}`;
      for (const name of ["k_ctx", "q_target"]) {
        shapes[of(`${name}.weight`)] = [width, d_sae];
        shapes[of(`${name}.bias`)] = [width];
      }
      for (const name of ["v_ctx", "c_proj"]) {
        shapes[of(`${name}.weight`)] = [d_sae, d_sae];
        shapes[of(`${name}.bias`)] = [d_sae];
      }
    }
    return shapes;
  },
  encoding: {
    kind: "dense",
    acts(pieces) {
      const novel = relu(codes(novelPart(pieces), pieces));
      const k = pieces.config.options["kval_topk"];
      if (typeof k !== "number") return novel;
      // Equal to SAELens' mask but where codes tie with the k-th, which for positive codes does not happen in practice.
      const kept = largest(novel, Math.min(k, pieces.config.d_sae)).values;
      const smallest = slice(kept, { axis: 1, from: -1 });
      return where(greaterOrEqual(novel, smallest), novel, 0);
    },
  },
  skip: (pieces) => sub(pieces.x, novelPart(pieces)),
};

/** x less what the attention layers predict from earlier tokens. `[tokens, d_in] -> [tokens, d_in]` */
function novelPart(pieces: Pieces): Value {
  const { weights, config } = pieces;
  let rest = pieces.x;
  for (let layer = 0; layer < Number(config.options["n_attn_layers"]); layer++) {
    const here = relu(codes(rest, pieces));
    const predicted = relu(attention(here, layer, pieces));
    const direction = weights.linear(predicted, "W_dec");
    const norm = add(sqrt(reduceSum(mul(direction, direction), [1], true)), 1e-6);
    const along = reduceSum(mul(direction, rest), [1], true);
    rest = sub(rest, mul(div(along, mul(norm, norm)), direction));
  }
  return rest;
}

/** Pre-activations of the codes, x·W_enc / (4·d_in). */
function codes(x: Value, { weights, config }: Pieces): Value {
  const scaled = mul(x, 1 / (4 * config.d_in));
  return config.options["tied_weights"]
    ? weights.linear(scaled, "W_dec", { flip: true })
    : weights.linear(scaled, "W_enc");
}

/** Causal attention from the codes of a token to those of the tokens before it. `[tokens, d_sae] -> [tokens, d_sae]` */
function attention(here: Value, layer: number, { weights, config }: Pieces): Value {
  const { d_sae, options } = config;
  const n_heads = Number(options["n_heads"]);
  const d_head = d_sae / Number(options["bottleneck_factor"]) / n_heads;
  const project = (x: Value, name: string): Value => {
    const at = `attn_layers.${layer}.${name}`;
    return weights.linear(x, `${at}.weight`, { flip: true, bias: weights.value(`${at}.bias`) });
  };
  const heads = (x: Value, width: number): Value =>
    transpose(reshape(x, [0, n_heads, width]), [1, 0, 2]);
  const first = slice(here, { axis: 0, to: 1 });
  const before = concat([mul(first, 0), slice(here, { axis: 0, to: -1 })], 0);
  const q = heads(project(here, "q_target"), d_head);
  const k = heads(project(before, "k_ctx"), d_head);
  const v = heads(project(before, "v_ctx"), d_sae / n_heads);
  const scores = mul(matmul(q, transpose(k, [0, 2, 1])), 1 / Math.sqrt(d_head));
  const one = reduceSum(mul(slice(here, { axis: 1, to: 1 }), 0), [1], true);
  const position = cumsum(add(one, 1), 0);
  const visible = greaterOrEqual(position, transpose(position, [1, 0]));
  const pattern = softmax(where(visible, scores, -1e30), -1);
  const mixed = reshape(transpose(matmul(pattern, v), [1, 0, 2]), [0, d_sae]);
  return project(mixed, "c_proj");
}
