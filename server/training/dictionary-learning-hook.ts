/** The hook point that dictionary_learning's `layer` and `submodule_name` mean. */
import type { ForeignOptions } from "./foreign-options.ts";

/** Without a name it is the residual stream after the layer. */
export function dictionaryLearningHook(options: ForeignOptions): { hook_name?: string } {
  const layer = options.value("layer");
  const name = options.has("submodule_name") ? options.string("submodule_name") : undefined;
  if (name === undefined)
    return typeof layer === "number" ? { hook_name: `blocks.${layer}.hook_resid_post` } : {};
  const match = /^(resid_post|resid|attention_out|attn_out|mlp_out)_layer_?(\d+)$/.exec(name);
  const kind = match && kinds[match[1]!];
  return kind ? { hook_name: `blocks.${match[2]}.${kind}` } : {};
}

/** As `server/sae/formats/dictionary-learning.ts` reads them. */
const kinds: Readonly<Record<string, string>> = {
  resid_post: "hook_resid_post",
  resid: "hook_resid_post",
  attention_out: "attn.hook_out",
  attn_out: "attn.hook_out",
  mlp_out: "mlp.hook_out",
};
