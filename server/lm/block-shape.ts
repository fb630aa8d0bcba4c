/** The two ways in which families put attention and MLP on the residual: one after the other, or side by side. */
import type { Value } from "../graph/graph.ts";
import { add } from "../graph/ops/index.ts";
import type { AttentionValues } from "./attention.ts";
import type { BlockBuilder, BlockValues, NormFacts } from "./block-builder.ts";
import type { MlpValues } from "./mlp.ts";

/** The two modules of a block as functions of what they read. */
export interface BlockModules {
  readonly attention: (x: Value) => AttentionValues & { readonly attn_out_raw: Value };
  readonly mlp: (x: Value) => MlpValues;
}

/** Norms before and after the modules; an absent one is not applied. */
export interface BlockNorms {
  readonly beforeAttention?: NormFacts;
  readonly afterAttention?: NormFacts;
  readonly beforeMlp?: NormFacts;
  readonly afterMlp?: NormFacts;
}

/** resid + attention, then + MLP, each between its norms. */
export function sequentialBlock(
  b: BlockBuilder,
  resid: Value,
  { attention, mlp }: BlockModules,
  norms: BlockNorms,
): BlockValues {
  const attended = attention(normed(b, resid, norms.beforeAttention));
  const attn_out = normed(b, attended.attn_out_raw, norms.afterAttention);
  const resid_mid = add(resid, attn_out);
  const ln2 = norms.beforeMlp === undefined ? undefined : b.hookedNorm(resid_mid, norms.beforeMlp);
  const mlp_in = ln2?.out ?? resid_mid;
  const hidden = mlp(mlp_in);
  const mlp_out = normed(b, hidden.mlp_out_raw, norms.afterMlp);
  const resid_post = add(resid_mid, mlp_out);
  const values = { ...attended, attn_out, resid_mid, mlp_in, ...hidden, mlp_out, resid_post };
  return ln2 === undefined ? values : { ...values, ln2_normalized: ln2.normalized };
}

/** resid + attention + MLP, both reading the same residual (GPT-J, GPT-NeoX). */
export function parallelBlock(
  b: BlockBuilder,
  resid: Value,
  { attention, mlp }: BlockModules,
  norms: Required<Pick<BlockNorms, "beforeAttention" | "beforeMlp">>,
): BlockValues {
  const attended = attention(b.norm(resid, norms.beforeAttention));
  const ln2 = b.hookedNorm(resid, norms.beforeMlp);
  const hidden = mlp(ln2.out);
  const { attn_out_raw } = attended;
  const { mlp_out_raw } = hidden;
  return {
    ...attended,
    attn_out: attn_out_raw,
    mlp_in: ln2.out,
    ln2_normalized: ln2.normalized,
    ...hidden,
    mlp_out: mlp_out_raw,
    resid_post: add(add(mlp_out_raw, attn_out_raw), resid),
  };
}

function normed(b: BlockBuilder, x: Value, facts: NormFacts | undefined): Value {
  return facts === undefined ? x : b.norm(x, facts);
}
