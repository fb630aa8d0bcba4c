/** What is loaded: language models and SAEs by id. */
import type { HookPoint } from "../lm/hook-points.ts";
import type { LanguageModel } from "../lm/language-model.ts";
import type { SaeInfo } from "../protocol/reader.ts";
import type { Sae } from "../sae/sae.ts";
import { notLoaded } from "./errors.ts";

/** An SAE with its hook points understood. */
export interface LoadedSae {
  readonly id: string;
  readonly sae: Sae;
  readonly info: SaeInfo;
  readonly hook: HookPoint;
  readonly hookOut?: HookPoint;
}

/** Language models and SAEs by id. */
export class Loaded {
  readonly lms = new Map<string, LanguageModel>();
  readonly saes = new Map<string, LoadedSae>();

  /** The model of this id, or a `UserError` that lists what is loaded. */
  lm(id: string): LanguageModel {
    const lm = this.lms.get(id);
    if (!lm) throw notLoaded("language model", id, [...this.lms.keys()]);
    return lm;
  }

  /** The SAE of this id, or a `UserError` that lists what is loaded. */
  sae(id: string): LoadedSae {
    const sae = this.saes.get(id);
    if (!sae) throw notLoaded("SAE", id, [...this.saes.keys()]);
    return sae;
  }
}
