/** The backward sessions of loaded models, kept from one question to the next. */
import { LmGradients } from "../lm/gradients.ts";
import type { LanguageModel } from "../lm/language-model.ts";

/** Gradients by model. */
export class KeptGradients {
  readonly #kept = new Map<LanguageModel, LmGradients>();

  /** Those of a model; sessions are loaded as they are needed. */
  of(lm: LanguageModel): LmGradients {
    const kept = this.#kept.get(lm) ?? new LmGradients(lm);
    this.#kept.set(lm, kept);
    return kept;
  }

  /** Frees those of a model. */
  async drop(lm: LanguageModel): Promise<void> {
    const kept = this.#kept.get(lm);
    this.#kept.delete(lm);
    await kept?.release();
  }
}
