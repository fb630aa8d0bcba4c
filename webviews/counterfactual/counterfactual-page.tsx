import type { JSX } from "preact";
import type { CounterfactualCell, CounterfactualView } from "../../server/protocol/comparison.ts";
import { Kind, LatentButton } from "../comparison/latents.tsx";
import { Choice, Waiting } from "../comparison/waiting.tsx";
import { figure } from "../text/heat-modes.ts";
import { visibleText } from "../text/visible-text.ts";
import type { CounterfactualModel } from "./counterfactual-model.ts";
import { Matrix } from "./matrix.tsx";

/** The whole page. */
export function CounterfactualPage({ model }: { model: CounterfactualModel }): JSX.Element {
  const { names, view, working } = model.state;
  const [name] = names;
  return (
    <main class="page" aria-busy={working !== undefined}>
      <h1>Counterfactual map{name === undefined ? "" : `: ${visibleText(name)}`}</h1>
      <Waiting model={model} />
      {view && (
        <>
          <Choices model={model} view={view} />
          <p class="facts">
            {view.sae} at {view.hook}, {view.lm}. Each sentence is left out in turn and the rest
            read again; later tokens also move to earlier positions. The map holds the dissimilarity
            of activations, 0 (the same) to 1 (no latent in common), by the sentence that is left
            out (rows) and the sentence that changes (columns).
          </p>
          {view.problems.map((it) => (
            <p key={it} class="warning">
              {visibleText(it)}
            </p>
          ))}
          <Matrix model={model} view={view} />
          <Details model={model} view={view} />
          <Sentences model={model} view={view} />
        </>
      )}
    </main>
  );
}

function Choices({
  model,
  view,
}: {
  model: CounterfactualModel;
  view: CounterfactualView;
}): JSX.Element {
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
        value={String(model.state.asked?.context ?? 0)}
        options={view.contexts.map((title, at) => [String(at), visibleText(title)])}
        onChange={(context) => model.change({ context: Number(context) })}
      />
    </form>
  );
}

function Sentences({
  model,
  view,
}: {
  model: CounterfactualModel;
  view: CounterfactualView;
}): JSX.Element {
  const { leftOut, affected } = model.chosen ?? { leftOut: -1, affected: -1 };
  const role = (at: number): string =>
    at === leftOut ? " (left out)" : at === affected ? " (changes)" : "";
  return (
    <ol class="sentences" aria-label="Sentences">
      {view.sentences.map((sentence, at) => (
        <li key={at} class={at === leftOut ? "left-out" : at === affected ? "affected" : ""}>
          <button class="link" onClick={() => model.reveal(0, sentence)}>
            {visibleText(sentence.text.trim())}
          </button>
          {role(at)}
        </li>
      ))}
    </ol>
  );
}

function Details({
  model,
  view,
}: {
  model: CounterfactualModel;
  view: CounterfactualView;
}): JSX.Element | null {
  const cell = model.chosen;
  if (!cell) return null;
  return (
    <div class="pane">
      <table>
        <caption aria-live="polite">{captionOf(cell)}</caption>
        <thead>
          <tr>
            {["Change", "Latent", "", "Before", "After", "Most at", "Label"].map((name) => (
              <th scope="col" key={name}>
                {name || <span class="sr-only">What it does</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {cell.latents.map(({ latent, kind, before, after, change, token }) => (
            <tr key={latent}>
              <td class="number">{figure(change)}</td>
              <th scope="row">
                <LatentButton latent={latent} onPin={(it) => model.pin(view.sae, it)} />
              </th>
              <td>
                <Kind kind={kind} />
              </td>
              <td class="number">{figure(before)}</td>
              <td class="number">{figure(after)}</td>
              <td>
                <button class="link" onClick={() => model.reveal(0, view.tokens[token])}>
                  {visibleText(view.tokens[token]?.text ?? "")}
                </button>
              </td>
              <td>{visibleText(view.labels[latent] ?? "")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function captionOf(cell: CounterfactualCell): string {
  const { leftOut, affected, counts, tokens, notCompared, change } = cell;
  const rest =
    notCompared === 0
      ? ""
      : `; ${notCompared} at the seam ${notCompared === 1 ? "is" : "are"} not compared`;
  return `Without sentence ${leftOut + 1}, in sentence ${affected + 1}: ${counts.appears} latents appear, ${counts.vanishes} vanish, ${counts.changes} change; Σ|after − before| ${figure(change)} over ${tokens} tokens${rest}`;
}
