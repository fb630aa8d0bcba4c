/** SAEs × labels as a grid of figures with heat: one cell is in the order of the Tab key, arrow keys move. */
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type {
  AbsorptionSweep,
  SweepLabel,
  SweepRow,
} from "../../server/protocol/absorption-sweep.ts";
import { visibleText } from "../text/visible-text.ts";
import {
  figureOf,
  heatLegend,
  heatOf,
  labelsOf,
  type Metric,
  metrics,
  whyNot,
  wholePercent,
} from "./sweep-figures.ts";
import type { Place, SweepModel, SweepState } from "./sweep-model.ts";

interface MapProps {
  readonly model: SweepModel;
  readonly state: SweepState;
  readonly sweep: AbsorptionSweep;
}

/** How far each key goes. */
const moves: Readonly<Record<string, readonly [row: number, column: number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  Home: [0, -Infinity],
  End: [0, Infinity],
};

/** The map with its legend and the figures of the cell that is looked at. */
export function HeatMap({ model, state, sweep }: MapProps): JSX.Element {
  const { metric, place } = state;
  const grid = useRef<HTMLTableElement>(null);
  const labels = labelsOf(sweep);
  const move = (event: KeyboardEvent): void => {
    const by = moves[event.key];
    if (!by) return;
    event.preventDefault();
    const next = {
      row: clamp(place.row + by[0], sweep.rows.length),
      column: clamp(place.column + by[1], labels.length),
    };
    model.look(next);
    grid.current?.querySelector<HTMLElement>(`[data-place="${next.row} ${next.column}"]`)?.focus();
  };
  const row = sweep.rows[place.row];
  const label = labels[place.column];
  return (
    <section aria-label="SAEs and labels">
      <h2>By label: {metrics[metric]}, per cent</h2>
      <div class="scroll">
        <table class="heat" role="grid" ref={grid} onKeyDown={move} aria-label="SAEs by labels">
          <thead>
            <tr>
              <th scope="col">SAE</th>
              {labels.map((it) => (
                <th key={it} scope="col">
                  {visibleText(it)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {sweep.rows.map((it, at) => (
              <Row key={it.sae} row={it} at={at} {...{ model, metric, place, labels }} />
            ))}
          </tbody>
        </table>
      </div>
      <p class="facts legend">
        {heatLegend.map(({ style, text }) => (
          <span key={style}>
            <span class={`swatch ${style}`} aria-hidden="true" /> {text}
          </span>
        ))}
        <span>– nothing can be said</span>
      </p>
      {row && label !== undefined && <Cell row={row} label={label} />}
    </section>
  );
}

function Row(props: {
  readonly model: SweepModel;
  readonly row: SweepRow;
  readonly at: number;
  readonly labels: readonly string[];
  readonly metric: Metric;
  readonly place: Place;
}): JSX.Element {
  const { model, row, at, labels, metric, place } = props;
  return (
    <tr>
      <th scope="row">{visibleText(row.sae)}</th>
      {labels.map((name, column) => {
        const label = labelOf(row, name);
        const figure = figureOf(label, metric);
        const isPlace = place.row === at && place.column === column;
        return (
          <td
            key={name}
            role="gridcell"
            class={`number ${heatOf(figure)}`}
            data-place={`${at} ${column}`}
            tabIndex={isPlace ? 0 : -1}
            aria-selected={isPlace}
            title={whyNot(label)}
            onFocus={() => model.look({ row: at, column })}
            onClick={() => model.look({ row: at, column })}
          >
            {figure === undefined ? (
              <>
                <span aria-hidden="true">–</span>
                <span class="sr-only">{whyNot(label)}</span>
              </>
            ) : (
              wholePercent(figure)
            )}
          </td>
        );
      })}
    </tr>
  );
}

/** Everything about one cell. */
function Cell({ row, label: name }: { row: SweepRow; label: string }): JSX.Element {
  const label = labelOf(row, name);
  return (
    <p class="facts cell" role="status">
      <b>
        {visibleText(name)} at {visibleText(row.sae)}
      </b>
      : {label ? figuresOf(label) : whyNot(label)}
    </p>
  );
}

function figuresOf(label: SweepLabel): string {
  const why = whyNot(label);
  const rates = `${wholePercent(label.fullRate)} % of ${label.words} words absorbed fully, ${wholePercent(label.partialRate)} % in part, mean fraction ${label.meanFraction.toFixed(3)}`;
  const scores = `F1 of the probe ${label.probeF1.toFixed(2)}, of the main latents ${label.mainF1.toFixed(2)}`;
  if (why === undefined) return `${rates}; ${scores}`;
  return `${why}; ${scores}. What the rule counts here (${rates}) is no absorption`;
}

function labelOf({ labels }: SweepRow, name: string): SweepLabel | undefined {
  return labels.find((it) => it.label === name);
}

function clamp(at: number, length: number): number {
  return Math.max(0, Math.min(length - 1, at));
}
