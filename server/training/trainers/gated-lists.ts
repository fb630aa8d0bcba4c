/** A Gated SAE's step by its lists of open gates; what `gated.ts` says as a graph. */
import { allActive, type ListedRecipe } from "../listed-recipe.ts";
import type { SparsityPenalty } from "../sparsity-penalty.ts";

/** Entries are latents with π > 0; `second` is relu(π). */
export function gatedLists(
  penalty: SparsityPenalty,
  auxDecoder: "trained" | "fixed",
): ListedRecipe {
  return {
    second: { part: "auxiliary_reconstruction_loss", trainsDecoder: auxDecoder === "trained" },
    applies: () => penalty.canList?.() ?? true,
    bounds: (parameters) => parameters.get("b_gate").value.map((it) => -it),
    activate(lists, parameters) {
      const { rows, offsets, columns, products, values, second } = lists;
      const b_gate = parameters.get("b_gate").value;
      const b_mag = parameters.get("b_mag").value;
      const factor = parameters.get("r_mag").value.map(Math.exp);
      for (let entry = 0; entry < offsets[rows]!; entry++) {
        const latent = columns[entry]!;
        const product = products[entry]!;
        second[entry] = product + b_gate[latent]!;
        values[entry] = Math.max(0, Math.fround(product * factor[latent]!) + b_mag[latent]!);
      }
      allActive(lists);
    },
    backward({ lists, slopes, secondSlopes, parameters, norms, scalars }) {
      const { rows, offsets, columns, products, values, second } = lists;
      const found = penalty.listed({ lists, acts: second, slopes: secondSlopes, norms, scalars });
      const factor = parameters.get("r_mag").value.map(Math.exp);
      const sums = ["b_gate", "b_mag", "r_mag"].map(() => new Float64Array(factor.length));
      const [gate, mag, r] = sums as [Float64Array, Float64Array, Float64Array];
      for (let entry = 0; entry < offsets[rows]!; entry++) {
        const latent = columns[entry]!;
        const byGate = secondSlopes[entry]!;
        const byMagnitude = values[entry]! > 0 ? slopes[entry]! : 0;
        const byProduct = byMagnitude * factor[latent]!;
        gate[latent]! += byGate;
        mag[latent]! += byMagnitude;
        r[latent]! += byProduct * products[entry]!;
        slopes[entry] = byGate + byProduct;
      }
      parameters.get("b_gate").grad.set(gate);
      parameters.get("b_mag").grad.set(mag);
      parameters.get("r_mag").grad.set(r);
      return found;
    },
  };
}
