import { UserError } from "../base/errors.ts";

/** Directions of different spaces were to be compared. */
export function differentWidths(width: number, id: string, other: number): UserError {
  return new UserError(
    "different-widths",
    `the decoder rows of ${id} have width ${other}, those compared with it ${width}: choose SAEs on the same hook point of the same model`,
  );
}
