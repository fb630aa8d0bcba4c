import type { JSX } from "preact";
import { KnobsForm } from "./knobs-form.tsx";
import { ResultCard } from "./result-card.tsx";
import { SummaryTable } from "./summary-table.tsx";
import type { ToyModel, ToyState } from "./toy-model.ts";

/** What every part of the page is given. */
export interface PageProps {
  readonly model: ToyModel;
  readonly state: ToyState;
}

/** The whole page. */
export function ToyPage({ model, state }: PageProps): JSX.Element {
  const { kept, problem } = state;
  return (
    <div class="page">
      <header>
        <h1>Toy Models</h1>
        <p class="facts">
          Features are made here, so it is known what an SAE should find. A <i>child</i> needs its
          parent, as “snake” needs “starts with S”; where the parent's latent falls silent because
          the child's latent carries its direction, the child has <i>absorbed</i> the parent.
        </p>
      </header>
      <main>
        <KnobsForm model={model} state={state} />
        {problem !== undefined && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        {kept.length > 0 && <Results model={model} state={state} />}
      </main>
    </div>
  );
}

function Results({ model, state }: PageProps): JSX.Element {
  const { kept, showsTables, showsEncoder } = state;
  return (
    <section aria-label="Results">
      <SummaryTable model={model} state={state} />
      <div class="toolbar">
        <div class="choices">
          <button
            class="secondary"
            aria-pressed={showsEncoder}
            onClick={() => model.show({ showsEncoder: !showsEncoder })}
          >
            Encoder's cosines
          </button>
          <button
            class="secondary"
            aria-pressed={showsTables}
            onClick={() => model.show({ showsTables: !showsTables })}
          >
            Tables
          </button>
          <button class="secondary" onClick={() => model.forget()}>
            Clear results
          </button>
        </div>
      </div>
      <div class="cards">
        {kept.map((it) => (
          <ResultCard
            key={it.id}
            kept={it}
            showsTables={showsTables}
            showsEncoder={showsEncoder}
            onRemove={() => model.forget(it.id)}
          />
        ))}
      </div>
    </section>
  );
}
