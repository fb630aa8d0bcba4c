/** Explanations in words. */
import type { ExplainedLatent } from "./explain.ts";

/** A line for each latent, with its scores and what went wrong. */
export function explainedText(found: readonly ExplainedLatent[]): string {
  return found
    .map(({ latent, label, detection, fuzzing, problems }) => {
      const scores = [
        scoreText("detection", detection?.accuracy, detection?.none),
        scoreText("fuzzing", fuzzing?.balanced, 0.5),
      ];
      const notes = problems.map((it) => `\n  ${it}`).join("");
      return `#${latent}  ${label ?? "no explanation"}${scores.join("")}${notes}`;
    })
    .join("\n");
}

/** A score with what is right for the answer "none of them". */
function scoreText(name: string, value: number | undefined, none = 0): string {
  return value === undefined ? "" : `  ${name} ${value.toFixed(2)} (by chance ${none.toFixed(2)})`;
}
