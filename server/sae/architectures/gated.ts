import { add, and, exp, greater, mul, where } from "../../graph/ops/index.ts";
import type { Architecture } from "./architecture.ts";
import { linearParameters, reconstructs, rescaled } from "./linear-encoder.ts";

/**
 * (x·W_enc + b_gate > 0) · relu(exp(r_mag)·(x·W_enc) + b_mag), no b_enc.
 * Rajamanoharan et al. 2024, arXiv:2404.16014; sae-lens@6.54 gated_sae.py, dictionary_learning@0.1.0 dictionary.py.
 */
export const gated: Architecture = {
  name: "gated",
  ...reconstructs,
  parameters(config) {
    const { b_enc: _, ...shapes } = linearParameters(config);
    const vector = [config.d_sae];
    return { ...shapes, b_gate: vector, r_mag: vector, b_mag: vector };
  },
  // The gate, said of the magnitude: exp(r_mag)·(x·W_enc) + b_mag > b_mag − exp(r_mag)·b_gate.
  perLatent(vector) {
    const gain = vector("r_mag")!.map(Math.exp);
    const [b_gate, b_mag, preScale] = [vector("b_gate")!, vector("b_mag")!, vector("preScale")];
    const threshold = b_mag.map(
      (bias, latent) =>
        Math.max(0, bias - gain[latent]! * b_gate[latent]!) * (preScale?.[latent] ?? 1),
    );
    return { gain, bias: b_mag, threshold };
  },
  encoding: {
    kind: "dense",
    acts({ x, weights }) {
      const product = weights.linear(x, "W_enc");
      const gate = add(product, weights.value("b_gate"));
      const scaled = mul(product, exp(weights.value("r_mag")));
      const magnitude = rescaled(add(scaled, weights.value("b_mag")), { weights });
      return where(and(greater(gate, 0), greater(magnitude, 0)), magnitude, 0);
    },
  },
};
