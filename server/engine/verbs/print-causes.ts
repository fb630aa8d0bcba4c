/** Results of `attribute` and `steer` as text for people. */
import type { AttributionReading, SteeringReading } from "../../protocol/interventions.ts";

type Labels = Readonly<Record<number, string>>;

/** Latents with their shares, the error, meta-latents, and what all add up to. */
export function printAttribution(
  found: AttributionReading,
  labels: { sae: Labels; meta: Labels },
): string {
  const { latents, tokens, meta, correlation } = found;
  const how =
    found.method === "integrated"
      ? `integrated gradients, ${found.steps} steps`
      : "gradient × activation";
  const error = found.error.reduce((sum, it) => sum + it.attribution, 0);
  const lines = [
    `${found.metric} after ${JSON.stringify(tokens[found.position]?.text ?? "")} (position ${found.position}): ${signed(found.value)}; without latents and error ${signed(found.baseline)}`,
    `${found.sae} at ${found.hook}, ${how}`,
    "",
    ...latents.map((it) => {
      const effect = it.effect === undefined ? "" : `  ablated ${signed(it.effect)}`;
      const where = `${it.position}:${JSON.stringify(tokens[it.position]?.text ?? "")}`;
      return `${signed(it.attribution).padStart(9)}  #${String(it.latent).padEnd(6)} ${where.padEnd(18)} act ${it.activation.toPrecision(3).padEnd(7)}${effect}  ${labels.sae[it.latent] ?? ""}`.trimEnd();
    }),
    `${signed(found.others).padStart(9)}  ${found.activeLatents - latents.length} other active latents`,
    `${signed(error).padStart(9)}  error of the SAE`,
    `${signed(found.sum).padStart(9)}  sum; the number falls by ${signed(found.value - found.baseline)} without all of it`,
  ];
  if (correlation !== undefined)
    lines.push(`agreement with ablation: r = ${correlation.toFixed(3)}`);
  if (meta) {
    lines.push("", `meta-latents of ${meta.id}`);
    for (const it of meta.latents.slice(0, 10))
      lines.push(
        `${signed(it.attribution).padStart(9)}  #${String(it.metaLatent).padEnd(6)} through ${it.through
          .slice(0, 3)
          .map(({ latent }) => `#${latent}`)
          .join(", ")}  ${labels.meta[it.metaLatent] ?? ""}`.trimEnd(),
      );
    lines.push(`${signed(meta.rest).padStart(9)}  not explained by meta-latents`);
  }
  return [...lines, ...problems(found)].join("\n");
}

/** Both continuations and the figures between them. */
export function printSteering(found: SteeringReading): string {
  const { original, steered, divergence, tokens } = found;
  const mean = divergence.reduce((sum, value) => sum + value, 0) / divergence.length;
  const next = (side: typeof original): string =>
    side.next
      .map((it) => `${JSON.stringify(it.text)} ${(it.probability * 100).toFixed(1)} %`)
      .join(", ");
  const loss =
    tokens.length > 1
      ? `loss of the text ${original.loss.toFixed(3)} → ${steered.loss.toFixed(3)} nats a token`
      : "the text has no next token to lose on";
  return [
    `${found.steps.join("; ")} at ${found.hook}`,
    `${loss}; KL of the next token ${mean.toFixed(3)} on average, ${(divergence.at(-1) ?? 0).toFixed(3)} after the text`,
    "",
    `original: ${original.text}`,
    `          next ${next(original)}`,
    `steered:  ${steered.text}`,
    `          next ${next(steered)}`,
    ...problems(found),
  ].join("\n");
}

function problems({ problems: list }: { readonly problems: readonly string[] }): string[] {
  return list.length === 0 ? [] : ["", ...list.map((it) => `problem: ${it}`)];
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
}
