import { UserError } from "../base/errors.ts";

/** Directions of different spaces were to be compared. */
export function differentWidths(width: number, id: string, other: number): UserError {
  return new UserError(
    "different-widths",
    `the decoder rows of ${id} have width ${other}, those compared with it ${width}: choose SAEs on the same hook point of the same model`,
  );
}

/** The latents of an SAE do not stand alone. */
export function cannotBeStitched(id: string, reason: string): UserError {
  return new UserError(
    "cannot-be-stitched",
    `latents of ${id} cannot be put into another SAE: ${reason}`,
  );
}

/** A threshold has to be measured, and there is nothing to measure it on. */
export function needsSample(id: string): UserError {
  return new UserError(
    "needs-sample",
    `${id} is a TopK SAE: its latents' threshold is measured on a text; give a language model and texts`,
  );
}
