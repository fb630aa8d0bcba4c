/** What becomes of a model's predictions when a hook point is replaced: means over tokens, and the scores made of them. */
import type { BehaviorPreservation, PerformancePreservation } from "./core-metrics.ts";
import type { Comparison } from "./next-token.ts";

/** Adds up compared windows. */
export class PreservationSums {
  readonly #loss = { clean: 0, sae: 0, ablated: 0 };
  readonly #divergence = { sae: 0, ablated: 0 };
  #losses = 0;
  #tokens = 0;

  /** Adds the rows of one window; rows that are not kept, and losses that are NaN, are left out. */
  add({ loss, divergence }: Comparison, kept: Uint8Array): void {
    kept.forEach((keep, row) => {
      if (!keep) return;
      this.#tokens++;
      this.#divergence.sae += divergence.sae[row]!;
      this.#divergence.ablated += divergence.ablated[row]!;
      if (Number.isNaN(loss.clean[row]!)) return;
      this.#losses++;
      this.#loss.clean += loss.clean[row]!;
      this.#loss.sae += loss.sae[row]!;
      this.#loss.ablated += loss.ablated[row]!;
    });
  }

  /** The means and scores. */
  finish(): {
    model_behavior_preservation: BehaviorPreservation;
    model_performance_preservation: PerformancePreservation;
  } {
    const divergence = (name: "sae" | "ablated"): number => this.#divergence[name] / this.#tokens;
    const loss = (name: "clean" | "sae" | "ablated"): number => this.#loss[name] / this.#losses;
    return {
      model_behavior_preservation: {
        kl_div_score: 1 - divergence("sae") / divergence("ablated"),
        kl_div_with_ablation: divergence("ablated"),
        kl_div_with_sae: divergence("sae"),
      },
      model_performance_preservation: {
        ce_loss_score: (loss("ablated") - loss("sae")) / (loss("ablated") - loss("clean")),
        ce_loss_with_ablation: loss("ablated"),
        ce_loss_with_sae: loss("sae"),
        ce_loss_without_sae: loss("clean"),
      },
    };
  }
}
