/** The map: a row for each sentence that is left out, a column for each that may change. */
import type { JSX } from "preact";
import type { CounterfactualView } from "../../server/protocol/comparison.ts";
import type { CounterfactualModel } from "./counterfactual-model.ts";

const steps = 5;
const arrows: Readonly<Record<string, readonly [down: number, right: number]>> = {
  ArrowDown: [1, 0],
  ArrowUp: [-1, 0],
  ArrowRight: [0, 1],
  ArrowLeft: [0, -1],
};

/** A table of figures; one cell is in the tab order, arrows go to its neighbours. */
export function Matrix({
  model,
  view,
}: {
  model: CounterfactualModel;
  view: CounterfactualView;
}): JSX.Element {
  const { sentences, cells } = view;
  const largest = Math.max(...cells.map((it) => it.dissimilarity), 0);
  const columns = sentences.slice(1).map((_, index) => index + 1);
  const onKeyDown = (event: KeyboardEvent): void => {
    const to = arrows[event.key];
    if (!to) return;
    event.preventDefault();
    model.step(...to);
    // The chosen cell is drawn anew with the next frame.
    const table = (event.currentTarget as HTMLElement).closest("table");
    requestAnimationFrame(() => table?.querySelector<HTMLElement>("[tabindex='0']")?.focus());
  };
  return (
    <div class="pane map">
      <table>
        <caption class="sr-only">
          Rows: the sentence that is left out. Columns: the sentence that changes.
        </caption>
        <thead>
          <tr>
            <th scope="col">without</th>
            {columns.map((affected) => (
              <th scope="col" key={affected} title={sentences[affected]?.text}>
                {affected + 1}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sentences.slice(0, -1).map((sentence, leftOut) => (
            <tr key={leftOut}>
              <th scope="row" title={sentence.text}>
                {leftOut + 1}
              </th>
              {columns.map((affected) => (
                <td key={affected}>
                  <Cell {...{ model, place: { leftOut, affected }, largest, onKeyDown }} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cell({
  model,
  place,
  largest,
  onKeyDown,
}: {
  model: CounterfactualModel;
  place: { leftOut: number; affected: number };
  largest: number;
  onKeyDown: (event: KeyboardEvent) => void;
}): JSX.Element | null {
  const cell = model.cell(place);
  if (!cell) return null;
  const step = largest === 0 ? 0 : Math.ceil((cell.dissimilarity / largest) * steps);
  const isChosen = model.chosen === cell;
  const figure = cell.dissimilarity.toFixed(3);
  const name = `without sentence ${place.leftOut + 1}, in sentence ${place.affected + 1}: ${figure}`;
  return (
    <button
      class={`cell ${step > 0 ? `heat${step}` : ""}`}
      aria-pressed={isChosen}
      aria-label={name}
      tabIndex={isChosen ? 0 : -1}
      onClick={() => model.choose(place)}
      onKeyDown={onKeyDown}
    >
      {figure}
    </button>
  );
}
