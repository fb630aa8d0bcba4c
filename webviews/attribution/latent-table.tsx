/** Active latents with their shares, the rest, the error, and what all add up to. */
import type { JSX } from "preact";
import type { AttributedLatent } from "../../server/protocol/interventions.ts";
import type { AttributionView } from "../../server/protocol/page-causes.ts";
import { figure } from "../text/heat-modes.ts";
import { visibleText } from "../text/visible-text.ts";
import type { AttributionModel, AttributionState, Column } from "./attribution-model.ts";
import { ShareBar, signed } from "./share-bar.tsx";

const columns: readonly { column: Column; name: string }[] = [
  { column: "attribution", name: "Attribution" },
  { column: "latent", name: "Latent" },
  { column: "position", name: "Token" },
  { column: "activation", name: "Activation" },
  { column: "gradient", name: "Gradient" },
];

/** The table. */
export function LatentTable(props: {
  model: AttributionModel;
  state: AttributionState;
  view: AttributionView;
}): JSX.Element {
  const { model, state, view } = props;
  const checked = view.latents.some((it) => it.effect !== undefined);
  const shown = checked ? [...columns, { column: "effect" as const, name: "Ablated" }] : columns;
  const largest = Math.max(...view.latents.map((it) => Math.abs(it.attribution)), 0);
  const only = state.position === undefined ? "" : `, at position ${state.position} alone`;
  return (
    <div class="pane">
      <table>
        <caption>
          The {view.latents.length} latents with most of it, of {view.activeLatents}
          {only}
        </caption>
        <thead>
          <tr>
            {shown.map(({ column, name }) => (
              <th scope="col" key={column} aria-sort={sortOf(state, column)}>
                <button class="link" onClick={() => model.sortBy(column)}>
                  {name}
                </button>
              </th>
            ))}
            <th scope="col">Label</th>
          </tr>
        </thead>
        <tbody>
          {model.latents.map((it) => (
            <Row key={`${it.position} ${it.latent}`} {...{ model, view, it, largest, checked }} />
          ))}
        </tbody>
        {state.position === undefined && <Sums view={view} span={shown.length} />}
      </table>
    </div>
  );
}

function Row(props: {
  model: AttributionModel;
  view: AttributionView;
  it: AttributedLatent;
  largest: number;
  checked: boolean;
}): JSX.Element {
  const { model, view, it, largest, checked } = props;
  const token = visibleText(view.tokens[it.position]?.text ?? "");
  return (
    <tr>
      <td class="number">
        <ShareBar value={it.attribution} largest={largest} /> {signed(it.attribution)}
      </td>
      <th scope="row">
        <button class="link" title="Pin" onClick={() => model.pin(it.latent)}>
          #{it.latent}
        </button>
      </th>
      <td>
        <button class="link" onClick={() => model.reveal(it.position)}>
          {token} <span class="position">{it.position}</span>
        </button>
      </td>
      <td class="number">{figure(it.activation)}</td>
      <td class="number">{figure(it.gradient)}</td>
      {checked && <td class="number">{it.effect === undefined ? "" : signed(it.effect)}</td>}
      <td>
        {visibleText(view.labels[it.latent] ?? "")}{" "}
        <button
          class="link act"
          aria-label={`Steer with latent ${it.latent}`}
          onClick={() => model.steer("latent", it.latent)}
        >
          Steer…
        </button>
      </td>
    </tr>
  );
}

function Sums({ view, span }: { view: AttributionView; span: number }): JSX.Element {
  const error = view.error.reduce((sum, it) => sum + it.attribution, 0);
  const rows = [
    {
      name: `${view.activeLatents - view.latents.length} other active latents`,
      value: view.others,
    },
    { name: "Error of the SAE: what it does not explain", value: error },
    { name: "Sum", value: view.sum },
  ];
  return (
    <tfoot>
      {rows.map(({ name, value }) => (
        <tr key={name}>
          <td class="number">
            <span class="share" /> {signed(value)}
          </td>
          <th scope="row" colSpan={span}>
            {name}
          </th>
        </tr>
      ))}
    </tfoot>
  );
}

function sortOf({ order }: AttributionState, column: Column): "none" | "ascending" | "descending" {
  if (order.column !== column) return "none";
  return order.descending ? "descending" : "ascending";
}
