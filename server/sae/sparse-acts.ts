/** Activations in compressed rows: the form in which they leave the device. */

/** Active latents of each row, strongest first (by |act|). */
export interface SparseActs {
  /** Row r owns entries offsets[r] … offsets[r + 1] − 1; length rows + 1. */
  readonly offsets: Int32Array;
  readonly latents: Int32Array;
  readonly acts: Float32Array;
}

/** Collects rows in any order. */
export class SparseRows {
  readonly #rows: ({ latents: Int32Array; acts: Float32Array } | undefined)[];

  constructor(nRows: number) {
    this.#rows = Array.from({ length: nRows });
  }

  /** Sets a row; entries are in order, strongest first. */
  set(row: number, latents: Int32Array, acts: Float32Array): void {
    this.#rows[row] = { latents, acts };
  }

  /** All rows joined; a row that was not set is empty. */
  finish(): SparseActs {
    const offsets = new Int32Array(this.#rows.length + 1);
    for (const [row, entries] of this.#rows.entries())
      offsets[row + 1] = offsets[row]! + (entries?.latents.length ?? 0);
    const latents = new Int32Array(offsets.at(-1)!);
    const acts = new Float32Array(offsets.at(-1)!);
    for (const [row, entries] of this.#rows.entries()) {
      if (!entries) continue;
      latents.set(entries.latents, offsets[row]!);
      acts.set(entries.acts, offsets[row]!);
    }
    return { offsets, latents, acts };
  }
}
