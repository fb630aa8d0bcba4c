/**
 * The analysis room: what can be asked of a language model with SAEs in it, beyond reading them. Attribution to latents
 * (`attribution/`) and interventions (`intervention/`) are made of what the rooms above offer: gradients through the chain of
 * blocks, and a splice between two of them. It knows no text, no documents and nothing of who asks.
 *
 * This file says where an SAE stands in the chain: which rows it reads, and at which place between two blocks what it writes
 * enters the residual stream.
 */
import type { BlockHookKind, HookPoint } from "../lm/hook-points.ts";
import { printHookPoint } from "../lm/hook-points.ts";
import type { SpliceInput } from "../lm/splice.ts";
import type { Sae } from "../sae/sae.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { notSpliceable } from "./intervention/errors.ts";

/** A kind of hook point that a splice can read in the block before it. */
type InsideKind = Exclude<BlockHookKind, "resid_pre" | "pattern">;

/** Where an SAE's rows are found at a splice: the residual itself, or a hook point of the block before. */
type SiteRows = "resid" | InsideKind;

/** An SAE between two blocks. */
export interface SaeSite {
  readonly sae: Sae;
  /** Its output is a part of the residual that enters this block; the number of layers for the end. */
  readonly layer: number;
  /** What it encodes. */
  readonly input: SiteRows;
  /** What its reconstruction stands for; another place than `input` for a transcoder. */
  readonly target: SiteRows;
}

/** The layer before which a residual stands that contains the hook point as a summand that nothing in its block reads. */
export function residualLayer(hook: HookPoint): number {
  if (hook.kind === "embed" || hook.kind === "resid_pre") return "layer" in hook ? hook.layer : 0;
  if (hook.kind === "resid_post" || hook.kind === "mlp_out") return hook.layer + 1;
  throw notSpliceable(printHookPoint(hook));
}

/** The site of an SAE that reads `hook`, and writes `hookOut` if it is a transcoder. */
export function saeSite(sae: Sae, hook: HookPoint, hookOut: HookPoint = hook): SaeSite {
  const layer = residualLayer(hookOut);
  const rows = (at: HookPoint): SiteRows => {
    const isResidual = at.kind === "embed" || at.kind === "resid_pre" || at.kind === "resid_post";
    if (isResidual && residualLayer(at) === layer) return "resid";
    if (!("layer" in at) || at.layer !== layer - 1) throw notSpliceable(printHookPoint(at));
    if (at.kind === "resid_pre" || at.kind === "pattern") throw notSpliceable(printHookPoint(at));
    return at.kind;
  };
  return { sae, layer, input: rows(hook), target: rows(hookOut) };
}

/** The hook point of the residual that enters a layer. */
export function residualHook(layer: number): HookPoint {
  return layer === 0 ? { kind: "embed" } : { kind: "resid_post", layer: layer - 1 };
}

/** The hook point of a site's rows. */
export function siteHook({ layer }: SaeSite, rows: SiteRows): HookPoint {
  return rows === "resid" ? residualHook(layer) : { kind: rows, layer: layer - 1 };
}

/** The rows of a site among what a splice sees. */
export function siteRows({ resid, inside }: SpliceInput, rows: SiteRows): Tensor<"float32"> {
  return rows === "resid" ? resid : inside.get(rows)!;
}
