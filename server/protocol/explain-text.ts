/** Explanations in words. */
import type { ExplainedLatent } from "./explain.ts";

/** A line for each latent, with its scores and what went wrong. */
export function explainedText(found: readonly ExplainedLatent[]): string {
  return found
    .map(({ latent, label, detection, fuzzing, problems }) => {
      const scores = [
        detection
          ? `  detection ${figure(detection.accuracy)} (“none” gives ${figure(detection.none)})`
          : "",
        fuzzing ? `  fuzzing ${figure(fuzzing.balanced)} (chance 0.50)` : "",
      ];
      const notes = problems.map((it) => `\n  ${it}`).join("");
      return `#${latent}  ${label ?? "no explanation"}${scores.join("")}${notes}`;
    })
    .join("\n");
}

function figure(score: number): string {
  return score.toFixed(2);
}
