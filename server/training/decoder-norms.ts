/** Norms of W_dec's rows where a penalty is paid by them, and what the penalty's gradient by norms makes of W_dec's. */
import { arenaBytes } from "../tensor/arena.ts";
import type { SparseRows } from "../tensor/kernels.ts";
import { rowNorms } from "./optimizer.ts";
import type { Parameters } from "./parameters.ts";

/** Arrays of the parameters' arena. */
export class DecoderNorms {
  /** Gradients by the norms; the penalty adds to them. `[d_sae]` */
  readonly slopes: Float64Array;
  readonly #parameters: Parameters;
  readonly #norms: Float32Array;
  /** Each latent as a row with itself as its only entry. */
  readonly #diagonal: SparseRows;
  #areKnown = false;

  constructor(parameters: Parameters) {
    const { arena } = parameters;
    const [n = 0] = parameters.get("W_dec").dims;
    this.#parameters = parameters;
    this.slopes = new Float64Array(n);
    this.#norms = arena.float32(n);
    const offsets = arena.int32(n + 1);
    offsets.forEach((_, at) => (offsets[at] = at));
    this.#diagonal = {
      begin: offsets.subarray(0, n),
      end: offsets.subarray(1),
      columns: offsets.subarray(0, n),
      values: arena.float32(n),
    };
  }

  /** Bytes that the constructor takes from the arena. */
  static workBytes(d_sae: number): number {
    return 2 * arenaBytes(d_sae) + arenaBytes(d_sae + 1);
  }

  /** Begins a step. */
  forget(): void {
    this.#areKnown = false;
    this.slopes.fill(0);
  }

  /** `[d_sae]` */
  get values(): Float32Array {
    const { arena } = this.#parameters;
    if (!this.#areKnown) rowNorms(arena.kernels, this.#parameters.get("W_dec").value, this.#norms);
    this.#areKnown = true;
    return this.#norms;
  }

  /** Adds to W_dec's gradient what the slopes mean for it: ∂‖w‖/∂w = w/‖w‖. */
  addGradients(): void {
    if (!this.#areKnown) return;
    const { arena } = this.#parameters;
    const { value, grad, dims } = this.#parameters.get("W_dec");
    const { values } = this.#diagonal;
    this.slopes.forEach((slope, at) => (values[at] = slope === 0 ? 0 : slope / this.#norms[at]!));
    arena.kernels.addSparseTimesDense(grad, this.#diagonal, value, dims[1]!);
  }
}
