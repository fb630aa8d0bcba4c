/** Options of a meta-SAE that is trained with an SAE, and against it. */
import * as v from "valibot";
import { count, notNegative, size } from "./options.ts";

/**
 * Joint training with an adversarial meta-SAE, after Levinson 2026, arXiv:2604.03436 (decomposability penalty). Let d_i be row i of
 * the SAE's W_dec scaled to norm 1, and M the meta-SAE. M minimises its own loss on the d_i; the SAE's loss gets
 *
 *     coefficient · mean_i max(0, 1 − ‖d_i − M(d_i)‖²)
 *
 * the share of each direction that M explains. Its gradient goes through d_i, in and behind M (whose parameters and choice of
 * active meta-latents stand still), and through the scaling to W_dec. A direction that M explains not at all costs
 * nothing. Each SAE step that is a multiple of `every` from `startStep` on takes `stepsPerStep` steps of M on the rows as they are,
 * and then adds the penalty to the gradient of the SAE's own step.
 */
export const adversaryOption = v.nullable(
  v.strictObject({
    coefficient: notNegative(),
    /** Linear warm-up of the coefficient, from `startStep` on. */
    warmUpSteps: v.optional(count(), 0),
    /** First step with the meta-SAE: before it, decoder rows hardly mean anything. */
    startStep: v.optional(count(), 0),
    /** Steps of the SAE from one time to the next. */
    every: v.optional(size(), 1),
    /** Steps of the meta-SAE each time. */
    stepsPerStep: v.optional(size(), 1),
    /** Rows of a step of the meta-SAE and of the penalty, drawn anew each time; null for all. */
    rows: v.optional(v.nullable(size()), null),
    /** The meta-SAE's own options, those of an SAE; `d_in` and `steps` are filled in. */
    train: v.record(v.string(), v.unknown(), "an object"),
  }),
);

/** Options of an adversary, its own config among them. */
export type AdversaryConfig = NonNullable<v.InferOutput<typeof adversaryOption>>;

/** Times that an adversary has its turn before a step. */
export function turnsBefore(step: number, { startStep, every }: AdversaryConfig): number {
  return Math.max(0, Math.ceil((step - startStep) / every));
}

/** Whether it has its turn in a step. */
export function hasTurn(step: number, config: AdversaryConfig): boolean {
  return turnsBefore(step + 1, config) > turnsBefore(step, config);
}
