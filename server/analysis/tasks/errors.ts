import { UserError } from "../../base/errors.ts";

/** A task file that cannot be used. */
export function badTask(name: string, found: string, expected: string, cause?: unknown): UserError {
  return new UserError(
    "bad-labelled-task",
    `labelled task ${name}: ${found}; expected ${expected}`,
    cause === undefined ? undefined : { cause },
  );
}

/** Too few words to train and test a probe on. */
export function tooFewWords(task: string, model: string, found: number): UserError {
  return new UserError(
    "too-few-words",
    `labelled task ${task} has ${found} words that are single tokens of ${model}; expected at least 20 with two labels or more: widen its "words" pattern or its labels`,
  );
}
