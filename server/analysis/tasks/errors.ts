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

/** An answer that has no token of its own behind a prompt. */
export function noAnswerToken(task: string, label: string): UserError {
  return new UserError(
    "no-answer-token",
    `labelled task ${task}: the answer for ${label} changes the tokens of the prompt before it; expected an "answer" that begins with a blank or a new line`,
  );
}

/** Two labels between which no single logit decides. */
export function sameAnswerToken(task: string, [one, other]: readonly [string, string]): UserError {
  return new UserError(
    "same-answer-token",
    `labelled task ${task}: the answers for ${one} and ${other} begin with the same token, so no logit says which one is meant; the causal rule needs answers whose first tokens differ`,
  );
}
