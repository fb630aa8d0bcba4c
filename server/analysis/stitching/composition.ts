/** Which latents of a narrow and a wide SAE make up a stitched one, and what it reconstructs. */
import type { SparseActs } from "../../sae/sae.ts";
import type { Component } from "./components.ts";
import type { SelfContained } from "./self-contained.ts";
import type { SampleWindow } from "./spliced-loss.ts";

/** Both SAEs in the form in which their latents can be put together. */
export interface Pair {
  readonly narrow: SelfContained;
  readonly wide: SelfContained;
}

/** A sequence with what both SAEs read of it. */
export interface EncodedWindow extends SampleWindow {
  readonly narrow: SparseActs;
  readonly wide: SparseActs;
}

/** Where a latent of a stitched SAE comes from. */
export interface Origin {
  readonly from: "narrow" | "wide";
  readonly latent: number;
}

/** The narrow SAE at first; wide latents are inserted, or swapped for narrow ones. */
export class Composition {
  readonly pair: Pair;
  readonly #hasNarrow: Uint8Array;
  readonly #hasWide: Uint8Array;

  constructor(pair: Pair) {
    this.pair = pair;
    this.#hasNarrow = new Uint8Array(pair.narrow.d_sae).fill(1);
    this.#hasWide = new Uint8Array(pair.wide.d_sae);
  }

  /** Adds wide latents. */
  insert(latents: Iterable<number>): void {
    for (const latent of latents) this.#hasWide[latent] = 1;
  }

  /** Puts a component's wide latents in the place of its narrow ones. */
  swap({ wide, narrow }: Pick<Component, "wide" | "narrow">): void {
    this.insert(wide);
    for (const latent of narrow) this.#hasNarrow[latent] = 0;
  }

  /** Puts the whole wide SAE in the place of what is left of the narrow one. */
  swapEverything(): void {
    this.#hasWide.fill(1);
    this.#hasNarrow.fill(0);
  }

  get inserted(): number {
    return count(this.#hasWide);
  }

  get removed(): number {
    return this.#hasNarrow.length - count(this.#hasNarrow);
  }

  /** Narrow latents in order, then wide ones. */
  get origins(): Origin[] {
    const of = (from: Origin["from"], has: Uint8Array): Origin[] =>
      [...has].flatMap((is, latent) => (is ? [{ from, latent }] : []));
    return [...of("narrow", this.#hasNarrow), ...of("wide", this.#hasWide)];
  }

  /** Output bias: the narrow SAE's, moving to the wide one's with the share of narrow latents that are swapped away. `[d_in]` */
  get b_dec(): Float32Array<ArrayBuffer> {
    const { narrow, wide } = this.pair;
    const share = this.removed / narrow.d_sae;
    return narrow.b_dec.map((bias, at) => (1 - share) * bias + share * wide.b_dec[at]!);
  }

  /** The SAE that these latents make. */
  build(): SelfContained {
    const { narrow, wide } = this.pair;
    const { d_in } = narrow;
    const origins = this.origins;
    const d_sae = origins.length;
    const W_enc = new Float32Array(d_in * d_sae);
    const W_dec = new Float32Array(d_sae * d_in);
    const b_enc = new Float32Array(d_sae);
    const threshold = new Float32Array(d_sae);
    for (const [at, { from, latent }] of origins.entries()) {
      const source = from === "narrow" ? narrow : wide;
      W_dec.set(source.W_dec.subarray(latent * d_in, (latent + 1) * d_in), at * d_in);
      b_enc[at] = source.b_enc[latent]!;
      threshold[at] = source.threshold[latent]!;
      for (let row = 0; row < d_in; row++)
        W_enc[row * d_sae + at] = source.W_enc[row * source.d_sae + latent]!;
    }
    const notes = [...narrow.notes, ...wide.notes];
    return { d_in, d_sae, W_enc, b_enc, threshold, W_dec, b_dec: this.b_dec, notes };
  }

  /** Reconstruction of a sequence without running the SAE anew. `-> [tokens, d_in]`, and active latents of each token */
  reconstruct(window: EncodedWindow): { x_hat: Float32Array; l0: Int32Array } {
    const { narrow, wide } = this.pair;
    const { d_in } = narrow;
    const nRows = window.ids.length;
    const x_hat = new Float32Array(nRows * d_in);
    const l0 = new Int32Array(nRows);
    const bias = this.b_dec;
    for (let row = 0; row < nRows; row++) x_hat.set(bias, row * d_in);
    addActs(x_hat, { acts: window.narrow, W_dec: narrow.W_dec, has: this.#hasNarrow }, l0);
    addActs(x_hat, { acts: window.wide, W_dec: wide.W_dec, has: this.#hasWide }, l0);
    return { x_hat, l0 };
  }
}

function addActs(
  x_hat: Float32Array,
  {
    acts: { offsets, latents, acts },
    W_dec,
    has,
  }: { acts: SparseActs; W_dec: Float32Array; has: Uint8Array },
  l0: Int32Array,
): void {
  const d_in = x_hat.length / l0.length;
  for (let row = 0; row < l0.length; row++)
    for (let entry = offsets[row]!; entry < offsets[row + 1]!; entry++) {
      const latent = latents[entry]!;
      if (has[latent] === 0) continue;
      l0[row]!++;
      const act = acts[entry]!;
      for (let at = 0; at < d_in; at++) x_hat[row * d_in + at]! += act * W_dec[latent * d_in + at]!;
    }
}

function count(has: Uint8Array): number {
  return has.reduce((sum, is) => sum + is, 0);
}
