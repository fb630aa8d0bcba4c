/** Contexts with the heat of their tokens. */
import type { JSX } from "preact";
import type { LatentContext, LatentDashboard } from "../../server/protocol/explorer.ts";
import { heatStep } from "../../server/protocol/page.ts";
import { figure } from "../text/heat-modes.ts";
import { visibleText } from "../text/visible-text.ts";

/** The strongest, then a few of each quantile, strongest quantile first. */
export function Contexts(props: {
  contexts: readonly LatentContext[];
  corpus: NonNullable<LatentDashboard["corpus"]>;
}): JSX.Element {
  const { contexts, corpus } = props;
  const groups = [0, ...Array.from({ length: corpus.quantiles }, (_, i) => corpus.quantiles - i)];
  return (
    <section class="contexts" aria-label="Contexts">
      {groups.map((group) => {
        const own = contexts.filter((it) => it.group === group);
        if (own.length === 0) return null;
        const acts = own.map(({ tokens, peak }) => Math.abs(tokens[peak]?.act ?? 0));
        return (
          <section key={group}>
            <h2>
              {titleOf(group, corpus.quantiles)}{" "}
              <span class="quiet">
                {figure(Math.min(...acts))} to {figure(Math.max(...acts))}
              </span>
            </h2>
            <ol>
              {own.map((context, at) => (
                <li key={at}>
                  <span class="number quiet">{figure(context.tokens[context.peak]?.act ?? 0)}</span>
                  <ContextLine context={context} max={corpus.max} />
                </li>
              ))}
            </ol>
          </section>
        );
      })}
    </section>
  );
}

function titleOf(group: number, quantiles: number): string {
  if (group === 0) return "Strongest contexts";
  return `Quantile ${group} of ${quantiles} of the others`;
}

/** One context. A screen reader hears the text, and the strongest token named. */
export function ContextLine({
  context,
  max,
}: {
  context: LatentContext;
  max: number;
}): JSX.Element {
  const peak = context.tokens[context.peak];
  return (
    <p class="context">
      {context.tokens.map(({ text, act }, at) => {
        const step = max > 0 ? heatStep(Math.abs(act) / max) : 0;
        const isPeak = at === context.peak && act !== 0;
        return (
          <span
            key={at}
            class={`token${step > 0 ? ` heat${step}` : ""}${isPeak ? " peak" : ""}`}
            title={act === 0 ? undefined : figure(act)}
          >
            {visibleText(text) || "∅"}
          </span>
        );
      })}
      {peak && peak.act !== 0 && (
        <span class="sr-only">
          {" "}
          Strongest at “{visibleText(peak.text)}”: {figure(peak.act)}.
        </span>
      )}
    </p>
  );
}
