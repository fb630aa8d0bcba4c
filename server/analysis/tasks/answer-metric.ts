/** How well a model answers a task's prompt, as a number: the logit of the right answer less the mean of the wrong ones. */
import type { Metric } from "../attribution/metric.ts";

/**
 * The logit difference behind a prompt. `tokens` has the first token of every label's answer; labels that the word has besides
 * `label` count neither way. Chanin et al. 2024, arXiv:2409.14507: the right letter against the mean over all others. (Their script's
 * `letter_delta_metric` is given the right letter in lower case without a blank, and the wrong ones as the prompt's answers; here both are as the
 * prompt's answers.)
 */
export function answerMetric(
  position: number,
  tokens: readonly number[],
  { label, labels }: { label: number; labels: readonly number[] },
): Metric {
  const wrong = tokens.filter((_, other) => other !== label && !labels.includes(other));
  return {
    kind: "logits",
    terms: [
      { position, id: tokens[label]!, weight: 1 },
      ...wrong.map((id) => ({ position, id, weight: -1 / wrong.length })),
    ],
  };
}
