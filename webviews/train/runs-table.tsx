/** All runs and the SAEs of their sweeps, with their last figures; chooses what the charts show. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { RunMetric } from "../../server/protocol/runs.ts";
import { figure } from "../text/heat-modes.ts";
import { type Line, mostLines, type TrainModel, type TrainState } from "./train-model.ts";

type Column = "name" | "state" | "step" | RunMetric;

const columns: readonly { column: Column; name: string }[] = [
  { column: "name", name: "Run" },
  { column: "state", name: "State" },
  { column: "step", name: "Step" },
  { column: "loss", name: "Loss" },
  { column: "fvu", name: "FVU" },
  { column: "l0", name: "L0" },
  { column: "dead", name: "Dead" },
];

interface Order {
  readonly column: Column;
  readonly descending: boolean;
}

/** The table. */
export function RunsTable({ model, state }: { model: TrainModel; state: TrainState }): JSX.Element {
  const [order, setOrder] = useState<Order | undefined>(undefined);
  const lines = order ? model.lines.toSorted((a, b) => compare(a, b, order)) : model.lines;
  const sortBy = (column: Column): void =>
    setOrder({ column, descending: order?.column === column && !order.descending });
  return (
    <div class="runs-pane">
      <table class="runs">
        <caption>Runs; tick up to {mostLines} to lay them over each other</caption>
        <thead>
          <tr>
            <th scope="col">
              <span class="sr-only">Shown</span>
            </th>
            {columns.map(({ column, name }) => (
              <th
                scope="col"
                key={column}
                aria-sort={
                  order?.column !== column ? "none" : order.descending ? "descending" : "ascending"
                }
              >
                <button class="link" onClick={() => sortBy(column)}>
                  {name}
                </button>
              </th>
            ))}
            <th scope="col">Options</th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line) => (
            <Row key={line.key} line={line} model={model} state={state} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row(props: { line: Line; model: TrainModel; state: TrainState }): JSX.Element {
  const { line, model, state } = props;
  const { run, sae } = line;
  const slot = state.shown.indexOf(line.key);
  const isMain = run.folder === state.folder;
  return (
    <tr class={isMain ? "main" : ""}>
      <td>
        <input
          type="checkbox"
          aria-label={`Show ${line.name}`}
          checked={slot >= 0}
          disabled={slot < 0 && state.shown.length >= mostLines}
          onChange={() => model.toggle(line.key)}
        />
        {slot >= 0 && <Swatch slot={slot} />}
      </td>
      <th scope="row">
        <button
          class="link"
          aria-current={isMain ? "true" : undefined}
          onClick={() => void model.select(run.folder)}
        >
          {line.name}
        </button>
      </th>
      <td>{run.state}</td>
      <td class="number">{sae.last?.step ?? "–"}</td>
      <Figure value={sae.last?.loss} />
      <Figure value={sae.last?.fvu} />
      <Figure value={sae.last?.l0} />
      <Figure value={sae.last?.dead} />
      <td>{optionsText(line)}</td>
    </tr>
  );
}

/** The colour and dashes of a line, drawn by a style class. */
export function Swatch({ slot }: { slot: number }): JSX.Element {
  return (
    <svg class={`swatch line${slot}`} viewBox="0 0 24 8" aria-hidden="true">
      <line x1="0" y1="4" x2="24" y2="4" />
    </svg>
  );
}

function Figure({ value }: { value: number | undefined }): JSX.Element {
  return <td class="number">{value === undefined ? "–" : figure(value)}</td>;
}

function optionsText({ sae }: Line): string {
  const options = Object.entries(sae.options).map(([name, value]) => `${name} ${value}`);
  return [sae.architecture, `${sae.d_sae} latents`, ...options].join(", ");
}

function compare(a: Line, b: Line, { column, descending }: Order): number {
  const sign = descending ? -1 : 1;
  if (column === "name") return sign * a.name.localeCompare(b.name);
  if (column === "state") return sign * a.run.state.localeCompare(b.run.state);
  const [x, y] = [a.sae.last?.[column], b.sae.last?.[column]];
  // What has no figure comes last either way.
  if (x === undefined || y === undefined) return Number(x === undefined) - Number(y === undefined);
  return sign * (x - y);
}
