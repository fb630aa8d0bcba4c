/** Errors of `attribute` and `steer` that a user can act on. */
import { UserError } from "../base/errors.ts";

/** A position that the text does not have. */
export function positionOutside(position: number, tokens: number): UserError {
  return new UserError(
    "no-position",
    `there is no position ${position}: the text has ${tokens} tokens, positions 0 to ${tokens - 1}, or -1 for the last`,
  );
}

/** A text that was to be one token. */
export function notOneToken(text: string, tokens: readonly string[]): UserError {
  return new UserError(
    "not-one-token",
    `${JSON.stringify(text)} is ${tokens.length} tokens (${tokens.map((it) => JSON.stringify(it)).join(", ")}); give a text that is one token, most often a word with a blank in front`,
  );
}

/** No position is left to ask about. */
export function noPositions(): UserError {
  return new UserError(
    "no-positions",
    "no position up to the token is chosen; choose some of those before it, or all",
  );
}

/** The token that follows was asked about at the last token. */
export function noNextToken(): UserError {
  return new UserError(
    "no-next-token",
    "nothing follows the last token of the text; ask about the most likely next token",
  );
}

/** An id that is not in the vocabulary. */
export function unknownToken(id: number, d_vocab: number): UserError {
  return new UserError("bad-id", `there is no token ${id}: ids go from 0 to ${d_vocab - 1}`);
}

/** Something about latents was asked without an SAE. */
export function needsSae(what: string): UserError {
  return new UserError("no-sae", `${what} needs an SAE; choose one (--sae)`);
}

/** Meta-latents were asked for, and there is no meta-SAE. */
export function needsMetaSae(): UserError {
  return new UserError(
    "no-meta-sae",
    "meta-latents are those of a meta-SAE; choose the one that was trained on this SAE's decoder (--meta)",
  );
}

/** A meta-SAE of another SAE. */
export function metaOfAnother(meta: string, width: number, sae: string, d_out: number): UserError {
  return new UserError(
    "meta-of-another-sae",
    `${meta} reads rows of width ${width}, the decoder of ${sae} has rows of width ${d_out}; choose a meta-SAE of ${sae}`,
  );
}

/** Directions need a place. */
export function needsHook(): UserError {
  return new UserError(
    "no-hook",
    "it is not said where the direction is added; choose an SAE or a hook point (--hook blocks.N.hook_resid_post)",
  );
}

/** Nothing to do. */
export function nothingToSteer(): UserError {
  return new UserError(
    "nothing-to-steer",
    "no latent, meta-latent or direction is given; give one, as --latent 123=+8",
  );
}

/** An SAE of text was given as a meta-SAE. */
export function noMetaSae(id: string): UserError {
  return new UserError(
    "not-a-meta-sae",
    `${id} is no meta-SAE: it reads text; choose one whose config says meta_sae_of`,
  );
}
