/** The two shapes of MLP: gated (Shazeer 2020, arXiv:2002.05202) and plain. */
import type { Value } from "../graph/graph.ts";
import { mul } from "../graph/ops/index.ts";
import type { BlockBuilder, MatrixLayout } from "./block-builder.ts";

/** Hidden activations `[tokens, d_mlp]` and raw output `[tokens, d_model]`. */
export interface MlpValues {
  readonly mlp_post: Value;
  readonly mlp_out_raw: Value;
}

/** act(x · W_gate) · (x · W_up), then W_down. Names as Hugging Face spells them below `name`. */
export function gatedMlp(b: BlockBuilder, x: Value, name: string, bias = false): MlpValues {
  const { d_model, d_mlp } = b.config;
  const up = { d_in: d_model, d_out: d_mlp, bias };
  const gate = b.activation(b.linear(x, { name: `${name}.gate_proj`, ...up }));
  const mlp_post = mul(gate, b.linear(x, { name: `${name}.up_proj`, ...up }));
  const down = { name: `${name}.down_proj`, d_in: d_mlp, d_out: d_model, bias };
  return { mlp_post, mlp_out_raw: b.linear(mlp_post, down) };
}

/** Names of a plain MLP's two layers. */
export interface PlainMlpNames {
  readonly input: string;
  readonly output: string;
  readonly layout?: MatrixLayout;
}

/** act(x · W_in + b_in) · W_out + b_out. */
export function plainMlp(
  b: BlockBuilder,
  x: Value,
  { input, output, layout = "out-in" }: PlainMlpNames,
): MlpValues {
  const { d_model, d_mlp } = b.config;
  const pre = b.linear(x, { name: input, d_in: d_model, d_out: d_mlp, bias: true, layout });
  const mlp_post = b.activation(pre);
  const down = { name: output, d_in: d_mlp, d_out: d_model, bias: true, layout };
  return { mlp_post, mlp_out_raw: b.linear(mlp_post, down) };
}
