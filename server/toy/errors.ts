/** What can be wrong with a toy run's config. */
import { UserError } from "../base/errors.ts";

/** A value of the config is not of the kind that its key says. */
export function badToyConfig(place: {
  where: string;
  key: string;
  found: unknown;
  expected: string;
}): UserError {
  const { where, key, found, expected } = place;
  const what = found === undefined ? "is missing" : `is ${JSON.stringify(found)}`;
  return new UserError("bad-toy-config", `${where}: "${key}" ${what}; expected ${expected}`);
}

/** A key that a toy run's config does not have. */
export function unknownToyOption(where: string, key: string): UserError {
  return new UserError(
    "unknown-toy-option",
    `${where}: there is no option "${key}": remove it or correct its name`,
  );
}

/** Options that contradict each other. */
export function conflictingToyOptions(where: string, problem: string): UserError {
  return new UserError("conflicting-toy-options", `${where}: ${problem}`);
}
