/** Refuses an SAE that cannot belong to a model, before its weights are loaded. */
import type { LanguageModel } from "../lm/language-model.ts";
import type { SaeConfig } from "../sae/config.ts";
import { widthMismatch } from "./errors.ts";

/** Throws when the model has no such hook point or its width is not the SAE's; meta-SAEs read no model. */
export function checkAgainstModel(config: SaeConfig, id: string, lm: LanguageModel): void {
  if (config.metaOf) return;
  const width = lm.hookWidth(lm.hook(config.hook));
  if (width !== undefined && width !== config.d_in)
    throw widthMismatch({ id, d_in: config.d_in, hook: config.hook }, { id: lm.info.id, width });
  if (config.hookOut) lm.hook(config.hookOut);
}
