/**
 * Interventions: latents, meta-latents and directions of the residual stream that are added to, clamped, scaled or ablated while the
 * model runs, as a splice between two blocks.
 *
 * With a quantity c and the direction v that a unit of it adds to the residual, all four modes add (c' − c) · v:
 * add c' = c + amount, clamp c' = amount, scale c' = c · amount, ablate c' = 0. The quantity is
 * - of a latent: its activation, v its decoder row;
 * - of a meta-latent: Σ_i acts_i · ‖W_dec_i‖ · m_ij over the active latents that hold it, v its decoder row;
 * - of a direction: the multiple of it that the residual holds, ⟨x, v⟩ / ‖v‖², v as it is given (a probe's
 *   weights, or a difference of means, of which 1 is the whole difference).
 * With the error kept (the default) nothing else changes; without it the residual's part that the SAE reads is replaced by its
 * reconstruction at the positions of the intervention.
 */
import { assert } from "../../base/errors.ts";
import type { Splice, SpliceInput } from "../../lm/splice.ts";
import type { Sae } from "../../sae/sae.ts";
import type { SparseActs } from "../../sae/sparse-acts.ts";
import { tensor, type Tensor } from "../../tensor/tensor.ts";
import { readsWholeSequences, unknownLatent, wrongDirection, zeroDirection } from "./errors.ts";
import { metaParts } from "../meta/parts.ts";
import { type SaeSite, siteRows } from "../sae-site.ts";

/** What is done to a quantity. */
export type InterventionMode = "add" | "clamp" | "scale" | "ablate";

/** One intervention. */
export interface Intervention {
  readonly target:
    | { readonly kind: "latent"; readonly latent: number }
    | { readonly kind: "meta-latent"; readonly latent: number }
    | { readonly kind: "direction"; readonly vector: Float32Array };
  readonly mode: InterventionMode;
  /** Ignored by "ablate". */
  readonly amount: number;
}

/** Where and with what an intervention works. */
export interface InterventionPlace {
  readonly interventions: readonly Intervention[];
  /** Whether a position is changed. */
  readonly at: (position: number) => boolean;
  /** Before which block; that of the site where there is one. */
  readonly layer: number;
  readonly d_model: number;
  /** The SAE whose latents are meant, and its meta-SAE. */
  readonly site?: SaeSite;
  readonly meta?: Sae;
  /** False: what the SAE does not explain is left out at the changed positions. Needs a site. */
  readonly keepError: boolean;
}

/** The splice that does it; refuses what the SAEs do not have. */
export async function interventionSplice(place: InterventionPlace): Promise<Splice> {
  const { site, layer } = place;
  const edits = await readEdits(place);
  const needsSae = !place.keepError || edits.some((edit) => edit.kind !== "direction");
  if (needsSae && site?.sae.config.wholeSequences)
    throw readsWholeSequences(site.sae.config.architecture);
  const reads = new Set(needsSae && site ? [site.input, site.target] : []);
  return {
    layer,
    reads: [...reads].filter((kind) => kind !== "resid"),
    async change(input, signal) {
      const rows = selectedRows(input, place.at);
      if (rows.length === 0) return undefined;
      const [nRows = 0, width = 0] = input.resid.dims;
      const added = new Float32Array(nRows * width);
      if (needsSae) await changeLatents(place, edits, { input, rows, added, signal });
      for (const edit of edits) {
        if (edit.kind === "direction") changeDirection(edit, input.resid, { rows, added });
      }
      return added;
    },
  };
}

/** An intervention with what it needs of the weights. */
type Edit =
  | { kind: "latent"; latent: number; direction: Float32Array; next: Next }
  | {
      kind: "meta-latent";
      direction: Float32Array;
      /** ‖W_dec_i‖ · m_ij by latent; latents that hold none of it are absent. */
      held: ReadonlyMap<number, number>;
      next: Next;
    }
  | { kind: "direction"; direction: Float32Array; squaredNorm: number; next: Next };

/** A quantity after the intervention. */
type Next = (value: number) => number;

async function readEdits(place: InterventionPlace): Promise<Edit[]> {
  const { interventions, site, meta, d_model } = place;
  const edits: Edit[] = [];
  for (const { target, mode, amount } of interventions) {
    const next = nextOf(mode, amount);
    if (target.kind === "direction") {
      const { vector } = target;
      if (vector.length !== d_model) throw wrongDirection(vector.length, d_model);
      const squaredNorm = vector.reduce((sum, x) => sum + x * x, 0);
      if (squaredNorm === 0) throw zeroDirection();
      edits.push({ kind: "direction", direction: vector, squaredNorm, next });
      continue;
    }
    assert(site !== undefined, "latents are those of an SAE");
    const { latent } = target;
    if (target.kind === "latent") {
      checkLatent(latent, site.sae, "latent");
      edits.push({ kind: "latent", latent, direction: site.sae.decoderRows([latent]), next });
      continue;
    }
    assert(meta !== undefined, "meta-latents are those of a meta-SAE");
    checkLatent(latent, meta, "meta-latent");
    const held = await holders(site.sae, meta, latent);
    edits.push({ kind: "meta-latent", direction: meta.decoderRows([latent]), held, next });
  }
  return edits;
}

function checkLatent(latent: number, { config: { d_sae } }: Sae, kind: string): void {
  if (!Number.isInteger(latent) || latent < 0 || latent >= d_sae)
    throw unknownLatent(latent, d_sae, kind);
}

function nextOf(mode: InterventionMode, amount: number): Next {
  if (mode === "add") return (value) => value + amount;
  if (mode === "scale") return (value) => value * amount;
  return () => (mode === "clamp" ? amount : 0);
}

/** ‖W_dec_i‖ · m_ij of one meta-latent j for all latents i that hold it; the decoder is read in pieces. */
async function holders(sae: Sae, meta: Sae, metaLatent: number): Promise<Map<number, number>> {
  const held = new Map<number, number>();
  const { d_sae } = sae.config;
  for (let from = 0; from < d_sae; from += 2048) {
    const latents = Array.from({ length: Math.min(2048, d_sae - from) }, (_, i) => from + i);
    const { acts, norms } = await metaParts(sae, meta, latents);
    for (const [row, latent] of latents.entries()) {
      for (let entry = acts.offsets[row]!; entry < acts.offsets[row + 1]!; entry++) {
        if (acts.latents[entry] === metaLatent) held.set(latent, norms[row]! * acts.acts[entry]!);
      }
    }
  }
  return held;
}

interface Change {
  readonly input: SpliceInput;
  readonly rows: readonly number[];
  readonly added: Float32Array;
  readonly signal?: AbortSignal | undefined;
}

async function changeLatents(
  { site, keepError }: InterventionPlace,
  edits: readonly Edit[],
  { input, rows, added, signal }: Change,
): Promise<void> {
  if (site === undefined) return;
  const { sae } = site;
  const x = pickRows(siteRows(input, site.input), rows);
  const acts = await sae.encode(x, signal);
  const scales = sae.decoderScales(x);
  const width = added.length / input.resid.dims[0]!;
  for (const edit of edits) {
    if (edit.kind === "direction") continue;
    for (const [index, row] of rows.entries()) {
      const value = quantity(edit, acts, index);
      const amount = (edit.next(value) - value) * (scales?.[index] ?? 1);
      if (amount === 0) continue;
      for (let i = 0; i < width; i++) added[row * width + i]! += amount * edit.direction[i]!;
    }
  }
  if (keepError) return;
  const x_hat = await sae.decode(acts, x, signal);
  const target = pickRows(siteRows(input, site.target), rows);
  for (const [index, row] of rows.entries()) {
    for (let i = 0; i < width; i++)
      added[row * width + i]! += x_hat.data[index * width + i]! - target.data[index * width + i]!;
  }
}

function quantity(edit: Exclude<Edit, { kind: "direction" }>, acts: SparseActs, row: number) {
  let value = 0;
  for (let entry = acts.offsets[row]!; entry < acts.offsets[row + 1]!; entry++) {
    const latent = acts.latents[entry]!;
    const unit = edit.kind === "latent" ? Number(latent === edit.latent) : edit.held.get(latent);
    value += (unit ?? 0) * acts.acts[entry]!;
  }
  return value;
}

function changeDirection(
  { direction, squaredNorm, next }: Extract<Edit, { kind: "direction" }>,
  { data }: Tensor<"float32">,
  { rows, added }: Pick<Change, "rows" | "added">,
): void {
  const width = direction.length;
  for (const row of rows) {
    let value = 0;
    for (let i = 0; i < width; i++) value += data[row * width + i]! * direction[i]!;
    value /= squaredNorm;
    const amount = next(value) - value;
    for (let i = 0; i < width; i++) added[row * width + i]! += amount * direction[i]!;
  }
}

function selectedRows({ from, resid }: SpliceInput, at: (position: number) => boolean): number[] {
  return Array.from({ length: resid.dims[0]! }, (_, row) => row).filter((row) => at(from + row));
}

function pickRows({ dims, data }: Tensor<"float32">, rows: readonly number[]): Tensor<"float32"> {
  const width = dims.slice(1).reduce((product, dim) => product * dim, 1);
  const picked = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    picked.set(data.subarray(row * width, (row + 1) * width), i * width);
  });
  return tensor("float32", [rows.length, width], picked);
}
