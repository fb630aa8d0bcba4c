import { UserError } from "../../base/errors.ts";

/** A sample of text is too short to measure anything on. */
export function tooLittleText(files: readonly string[]): UserError {
  return new UserError(
    "too-little-text",
    `there is hardly any text in ${files.join(", ")}; name files with some hundred words`,
  );
}

/** Two SAEs that cannot be compared latent by latent. */
export function notAPair(narrow: string, wide: string, reason: string): UserError {
  return new UserError(
    "not-a-pair",
    `${narrow} and ${wide} cannot be stitched: ${reason}; choose two SAEs that were trained on one hook point of one model`,
  );
}

/** Wide latents were named that do not exist or, for a swap, that have no counterpart. */
export function cannotTake(latent: number, id: string, reason: string): UserError {
  return new UserError("no-such-latent", `latent ${latent} of ${id} ${reason}`);
}
