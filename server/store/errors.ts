/** What can be wrong with what is kept on disk. */
import { UserError } from "../base/errors.ts";

/** A folder without an index of shards, or with one of another layout. */
export function noShards(folder: string, found: string): UserError {
  return new UserError(
    "no-shards",
    `${folder} holds no activations: expected activations.json of latent-workbench harvest, found ${found}`,
  );
}

/** A folder was begun with another model, corpus, policy or layout. */
export function otherHarvest(folder: string, difference: string): UserError {
  return new UserError(
    "other-harvest",
    `${folder} holds activations of another harvest (${difference}); choose an empty folder, or remove this one`,
  );
}

/** A harvest that was stopped before its end. */
export function unfinishedHarvest(folder: string, found: number, expected: number): UserError {
  return new UserError(
    "unfinished-harvest",
    `${folder} has ${found} of ${expected} shards; run the same harvest again to finish it`,
  );
}

/** A shard is missing or its bytes are not those that were written. */
export function damagedShard(file: string, found: string): UserError {
  return new UserError(
    "damaged-shard",
    `${file} is damaged: ${found}; remove it and its line in activations.json, and run the same harvest again`,
  );
}

/** The shards hold no activations of this hook point. */
export function hookNotInShards(hook: string, folder: string, hooks: readonly string[]): UserError {
  return new UserError(
    "hook-not-in-shards",
    `${folder} has no activations of ${hook}; it has ${hooks.join(", ")}`,
  );
}

/** A file of token windows that is not one. */
export function badTokenWindows(file: string, found: string): UserError {
  return new UserError(
    "bad-token-windows",
    `${file} is no file of token windows: ${found}; remove it, it is made again from the corpus`,
  );
}

/** A folder without an index of latents, or with one of another layout. */
export function noIndex(folder: string, found: string): UserError {
  return new UserError(
    "no-index",
    `${folder} holds no latent index that this version reads: ${found}; build it with latent-workbench index`,
  );
}
