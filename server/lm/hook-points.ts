/**
 * Hook points: the named places of a language model that can be read, as typed values, with their spelling in
 * TransformerLens and the synonyms that other tools use. Pure text: whether a given model has the place is
 * asked of the model (`LanguageModel.hook`).
 */
import { unknownHookName } from "./errors.ts";

/** Kinds of hook point that every block has one of (a few architectures lack one: they say so). */
export const blockHookKinds = [
  "resid_pre",
  "resid_mid",
  "resid_post",
  "attn_out",
  "attn_out_raw",
  "z",
  "pattern",
  "mlp_in",
  "mlp_post",
  "mlp_out",
  "mlp_out_raw",
  "ln2_normalized",
] as const;

/** A kind of hook point inside a block. */
export type BlockHookKind = (typeof blockHookKinds)[number];

/** A kind of hook point that a model has once. */
export type ModelHookKind = "embed" | "ln_final" | "logits";

/** Any kind of hook point. */
export type HookKind = BlockHookKind | ModelHookKind;

/** A named place in a language model, such as `{ kind: "resid_post", layer: 9 }`. */
export type HookPoint =
  { readonly kind: BlockHookKind; readonly layer: number } | { readonly kind: ModelHookKind };

/** What is read at a kind of hook point. "raw" is a module's own output, "contribution" what is added to the residual. */
export const hookQuantities: Readonly<Record<HookKind, string>> = {
  embed: "what enters block 0: token embedding with its scale, and position embedding if learned",
  resid_pre: "residual before the block",
  resid_mid: "residual between attention and MLP; absent where both read the same residual",
  resid_post: "residual after the block",
  attn_out: "attention's residual contribution, after a post-norm where there is one",
  attn_out_raw: "attention module's raw output",
  z: "weighted sum of values per head, before W_O [tokens, n_heads, d_head]",
  pattern: "attention weights [n_heads, tokens, tokens]",
  mlp_in: "what the MLP module reads, after its norm with weights",
  mlp_post: "MLP's hidden activations (with a gate: their product) [tokens, d_mlp]",
  mlp_out: "MLP's residual contribution, after a post-norm where there is one",
  mlp_out_raw: "MLP module's raw output",
  // TransformerLens fires this hook before the weight of an RMSNorm and after weight and bias of a LayerNorm
  // (components/rms_norm.py, layer_norm.py); Gemma Scope's transcoders were trained on exactly that.
  ln2_normalized: "norm before the MLP: an RMSNorm before its weight, a LayerNorm after it",
  ln_final: "final norm's output, with its weight",
  logits: "logits, after a soft cap where there is one [tokens, d_vocab]",
};

const blockNames: Readonly<Record<BlockHookKind, string>> = {
  resid_pre: "hook_resid_pre",
  resid_mid: "hook_resid_mid",
  resid_post: "hook_resid_post",
  attn_out: "hook_attn_out",
  attn_out_raw: "attn.hook_out",
  z: "attn.hook_z",
  pattern: "attn.hook_pattern",
  mlp_in: "mlp.hook_in",
  mlp_post: "mlp.hook_post",
  mlp_out: "hook_mlp_out",
  mlp_out_raw: "mlp.hook_out",
  ln2_normalized: "ln2.hook_normalized",
};

const modelNames: Readonly<Record<ModelHookKind, string>> = {
  embed: "hook_embed",
  ln_final: "ln_final.hook_normalized",
  logits: "logits",
};

const kindOfBlockName = new Map(
  blockHookKinds.map((kind): [string, BlockHookKind] => [blockNames[kind], kind]),
);
const kindOfModelName = new Map(
  (Object.keys(modelNames) as ModelHookKind[]).map((kind): [string, ModelHookKind] => [
    modelNames[kind],
    kind,
  ]),
);

/**
 * Module paths of Hugging Face models and of sparsify (which leaves out the outermost name): the output of a
 * decoder layer is resid_post, the output of a sub-module is raw. Matched after `layers.L` or `h.L`.
 */
const kindOfModulePath: Readonly<Record<string, BlockHookKind>> = {
  "": "resid_post",
  self_attn: "attn_out_raw",
  attn: "attn_out_raw",
  attention: "attn_out_raw",
  "self_attn.o_proj": "attn_out_raw",
  mlp: "mlp_out_raw",
  "mlp.down_proj": "mlp_out_raw",
};

const modulePath =
  /^(?:(?:model|transformer|gpt_neox|language_model|model\.language_model)\.)?(?:layers|h)\.(\d+)(?:\.(.+))?$/;

const kindOfModelPath: Readonly<Record<string, ModelHookKind>> = {
  "model.embed_tokens": "embed",
  "gpt_neox.embed_in": "embed",
  "model.norm": "ln_final",
  "transformer.ln_f": "ln_final",
  "gpt_neox.final_layer_norm": "ln_final",
  lm_head: "logits",
  embed_out: "logits",
};

/** nnterp's accessors: the layer stands in brackets. */
const kindOfAccessor: Readonly<Record<string, BlockHookKind>> = {
  layers_input: "resid_pre",
  layers_output: "resid_post",
  attentions_output: "attn_out_raw",
  mlps_input: "mlp_in",
  mlps_output: "mlp_out_raw",
};

/**
 * Reads a hook point's name: TransformerLens (`blocks.9.hook_resid_post`), Hugging Face module paths
 * (`model.layers.9`, `transformer.h.9.mlp`, `gpt_neox.layers.9`), sparsify (`layers.9`), nnterp (`layers_output[9]`).
 * Throws unknownHookName with the nearest names.
 */
export function parseHookPoint(name: string): HookPoint {
  const point = parseTransformerLens(name) ?? parseModulePath(name) ?? parseAccessor(name);
  if (point === undefined) throw unknownHookName(name, nearestNames(name));
  return point;
}

/** Whether what is read there is, or is added to, the residual stream: only its directions have an effect on logits. */
export function writesToResidual({ kind }: HookPoint): boolean {
  return ["resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "embed"].includes(kind);
}

/** The name that TransformerLens prints for a hook point. */
export function printHookPoint(point: HookPoint): string {
  return "layer" in point
    ? `blocks.${point.layer}.${blockNames[point.kind]}`
    : modelNames[point.kind];
}

function parseTransformerLens(name: string): HookPoint | undefined {
  const model = kindOfModelName.get(name);
  if (model !== undefined) return { kind: model };
  const match = /^blocks\.(\d+)\.(.+)$/.exec(name);
  const kind = kindOfBlockName.get(match?.[2] ?? "");
  return kind === undefined ? undefined : { kind, layer: Number(match?.[1]) };
}

function parseModulePath(name: string): HookPoint | undefined {
  const model = Object.hasOwn(kindOfModelPath, name) ? kindOfModelPath[name] : undefined;
  if (model !== undefined) return { kind: model };
  const match = modulePath.exec(name);
  if (match === null) return undefined;
  const path = match[2] ?? "";
  const kind = Object.hasOwn(kindOfModulePath, path) ? kindOfModulePath[path] : undefined;
  return kind === undefined ? undefined : { kind, layer: Number(match[1]) };
}

function parseAccessor(name: string): HookPoint | undefined {
  const match = /^(\w+)\[(\d+)\]$/.exec(name);
  const accessor = match?.[1] ?? "";
  const kind = Object.hasOwn(kindOfAccessor, accessor) ? kindOfAccessor[accessor] : undefined;
  return kind === undefined ? undefined : { kind, layer: Number(match?.[2]) };
}

/** Up to three names of ours that are spelled most like `name`, in its own layer. */
function nearestNames(name: string): string[] {
  const layer = /\d+/.exec(name)?.[0] ?? "0";
  const candidates = [
    ...blockHookKinds.map((kind) => `blocks.${layer}.${blockNames[kind]}`),
    ...Object.values(modelNames),
  ];
  return candidates
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .filter(({ candidate, distance }) => distance <= candidate.length / 2)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
