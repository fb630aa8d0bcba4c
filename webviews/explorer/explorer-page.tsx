import type { JSX } from "preact";
import { Dashboard } from "./dashboard.tsx";
import type { ExplorerModel, ExplorerState } from "./explorer-model.ts";
import { LatentList } from "./latent-list.tsx";

/** What every part of the page is drawn from. */
export interface PageProps {
  readonly model: ExplorerModel;
  readonly state: ExplorerState;
}

/** The whole page. */
export function ExplorerPage({ model, state }: PageProps): JSX.Element {
  const { saes, problem } = state;
  const waits = saes === undefined && problem === undefined;
  return (
    <div class="page" aria-busy={waits}>
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {waits && <p class="note">Loading the model and its SAEs…</p>}
      {saes?.length === 0 && (
        <p class="note">
          No SAE is in use. “Latent Workbench: Choose SAEs…” in the command palette takes one.
        </p>
      )}
      {model.sae && (
        <div class="columns">
          <LatentList model={model} state={state} sae={model.sae} />
          <Dashboard model={model} state={state} />
        </div>
      )}
    </div>
  );
}
