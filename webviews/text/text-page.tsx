import type { JSX } from "preact";
import { Legend } from "./legend.tsx";
import { NoTokens } from "./no-tokens.tsx";
import { TextModel, type TextState } from "./text-model.ts";
import { TokenCardView } from "./token-card.tsx";
import { TokenStrip } from "./token-strip.tsx";
import { Toolbar } from "./toolbar.tsx";

/** The whole page. */
export function TextPage({ model, state }: { model: TextModel; state: TextState }): JSX.Element {
  const { overview } = state;
  const hasTokens = overview !== undefined && overview.state !== "off" && model.tokens > 0;
  return (
    <div class="page">
      <Toolbar model={model} state={state} />
      <Problems state={state} />
      {hasTokens ? (
        <>
          <Legend model={model} state={state} />
          <main class="reading">
            <TokenStrip model={model} state={state} />
            <TokenCardView model={model} state={state} />
          </main>
        </>
      ) : (
        <NoTokens model={model} state={state} />
      )}
      <div class="sr-only" role="status">
        {overview?.state === "working" ? "Reading the text" : ""}
      </div>
    </div>
  );
}

function Problems({ state }: { state: TextState }): JSX.Element | null {
  const problems = [state.problem, ...(state.overview?.problems ?? [])].filter((it) => it);
  if (problems.length === 0) return null;
  return (
    <section class="problems" aria-label="Problems">
      {[...new Set(problems)].map((problem) => (
        <p class="problem" role="alert" key={problem}>
          {problem}
        </p>
      ))}
    </section>
  );
}
