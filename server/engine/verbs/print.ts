/** Results of verbs as text for people. */
import type { InspectedSae, InspectedToken, Inspection } from "./inspect.ts";

/** A table of tokens with their strongest latents, one block per SAE. */
export function printInspection({ lm, saes, tokens, problems }: Inspection): string {
  const lines = [`${lm.id} (${lm.family}, ${lm.n_layers} layers, d_model ${lm.d_model})`];
  for (const { id, hook, badges, selfCheck } of saes) {
    lines.push("", `${id} at ${hook}${badges.map((it) => ` [${it}]`).join("")}`);
    if (selfCheck)
      lines.push(
        `self-check on ${selfCheck.tokens} tokens: L0 ${selfCheck.l0.toFixed(1)}, FVU ${selfCheck.fvu.toFixed(3)} (${selfCheck.fvuWithBos.toFixed(3)} with position 0), never fired ${(selfCheck.deadShare * 100).toFixed(1)} %`,
        ...selfCheck.warnings.map((it) => `  warning: ${it}`),
      );
    lines.push(...tokens.flatMap((token) => row(token, token.saes[id])));
  }
  if (problems.length > 0) lines.push("", ...problems.map((it) => `problem: ${it}`));
  return lines.join("\n");
}

function row(token: InspectedToken, reading: InspectedSae | undefined): string[] {
  if (!reading) return [];
  const place = token.inserted ? "" : `${token.start.line + 1}:${token.start.character + 1}`;
  const top = reading.top
    .slice(0, 3)
    .map(
      ({ latent, activation, label }) =>
        `#${latent} ${activation.toPrecision(3)}${label ? ` ${label}` : ""}`,
    );
  const head = `${place.padStart(8)} ${JSON.stringify(token.text).padEnd(16)} L0 ${String(reading.l0).padStart(3)}`;
  return [`${head}  ${top.join("; ")}`];
}
