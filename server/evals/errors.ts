/** What can be wrong with an evaluation. */
import { UserError } from "../base/errors.ts";

/** An SAE whose input is no activation of a model. */
export function nothingToEvaluate(sae: string, why: string): UserError {
  return new UserError("nothing-to-evaluate", `${sae} cannot be evaluated on text: ${why}`);
}
