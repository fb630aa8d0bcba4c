import type { JSX } from "preact";
import type {
  ChangeKind,
  ComparedTokens,
  ComparisonView,
} from "../../server/protocol/comparison.ts";
import { figure } from "../text/heat-modes.ts";
import { visibleText } from "../text/visible-text.ts";
import type { ComparisonModel } from "./comparison-model.ts";
import { LatentTable, TokenTable } from "./latents.tsx";
import { Strips } from "./strips.tsx";
import { Choice, Waiting } from "./waiting.tsx";

/** The whole page. */
export function ComparisonPage({ model }: { model: ComparisonModel }): JSX.Element {
  const { names, view, working } = model.state;
  return (
    <main class="page" aria-busy={working !== undefined}>
      <h1>{names.length > 0 ? names.map(visibleText).join(" → ") : "Comparison"}</h1>
      <Waiting model={model} />
      {view && (
        <>
          <Choices model={model} view={view} />
          <p class="facts">
            {view.sae} at {view.hook}, {view.lm}. Activations change by {figure(view.change)} in
            all, dissimilarity <b>{view.dissimilarity.toFixed(3)}</b> (0: the same; 1: no latent in
            common). The first position counts nowhere.
          </p>
          {view.problems.map((it) => (
            <p key={it} class="warning">
              {visibleText(it)}
            </p>
          ))}
          <Strips model={model} view={view} />
          <TokenTable model={model} view={view} />
          <LatentTable model={model} view={view} />
        </>
      )}
    </main>
  );
}

function Choices({ model, view }: { model: ComparisonModel; view: ComparisonView }): JSX.Element {
  return (
    <form class="choices" onSubmit={(event) => event.preventDefault()}>
      <Choice
        name="SAE"
        value={view.sae}
        options={view.saes.map((it) => [it, it])}
        onChange={(sae) => model.change({ sae })}
      />
      <Choice
        name="Context"
        value={String(view.pair)}
        options={view.pairs.map(({ title, state }, at) => [
          String(at),
          `${visibleText(title)}: ${state}`,
        ])}
        onChange={(pair) => model.change({ pair: Number(pair) })}
      />
      <Choice
        name="Tokens that count"
        value={model.state.asked?.tokens ?? "all"}
        options={[
          ["all", "all"],
          ["shared", "those of both texts"],
        ]}
        onChange={(tokens) => model.change({ tokens: tokens as ComparedTokens })}
      />
      <Choice
        name="Latents that"
        value={model.kind ?? ""}
        options={[
          ["", "appear, vanish or change"],
          ["appears", "appear"],
          ["vanishes", "vanish"],
          ["changes", "change"],
        ]}
        onChange={(kind) => model.show(kind === "" ? undefined : (kind as ChangeKind))}
      />
    </form>
  );
}
