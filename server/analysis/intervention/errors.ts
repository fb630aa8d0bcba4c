/** Errors about attributions and interventions that a user can act on. */
import { UserError } from "../../base/errors.ts";

/** An SAE or direction stands at a hook point whose change would have to be made inside a block. */
export function notSpliceable(hook: string): UserError {
  return new UserError(
    "not-spliceable",
    `what is done at ${hook} would have to be done inside a block; attribution and steering work at resid_pre, resid_post and mlp_out, so take an SAE of one of those hook points`,
  );
}

/** An SAE reads whole sequences, so that a token's latents are not its own affair. */
export function readsWholeSequences(architecture: string): UserError {
  return new UserError(
    "whole-sequences",
    `an SAE of architecture ${architecture} reads whole sequences at once; steering changes token by token, so take an SAE that encodes each token by itself`,
  );
}

/** A latent that the SAE does not have. */
export function unknownLatent(latent: number, d_sae: number, kind = "latent"): UserError {
  return new UserError(
    "unknown-latent",
    `there is no ${kind} ${latent}: they go from 0 to ${d_sae - 1}`,
  );
}

/** A direction of another width than the residual stream's. */
export function wrongDirection(length: number, d_model: number): UserError {
  return new UserError(
    "wrong-direction",
    `the direction has ${length} entries; the residual stream has d_model = ${d_model}`,
  );
}

/** A direction without length. */
export function zeroDirection(): UserError {
  return new UserError(
    "zero-direction",
    "the direction is zero everywhere: the two sides of a difference are the same; give other texts or another vector",
  );
}

/** A position outside the text. */
export function noPosition(position: number, tokens: number): UserError {
  return new UserError(
    "no-position",
    `there is no position ${position}: the text has positions 0 to ${tokens - 1}`,
  );
}

/** A direction that is read before the SAE writes. */
export function directionBeforeSae(layer: number, sae: number): UserError {
  return new UserError(
    "direction-before-sae",
    `the direction is read before block ${layer}, and the SAE writes before block ${sae}: its latents come too late to have a part in it; read the direction at block ${sae} or later`,
  );
}
