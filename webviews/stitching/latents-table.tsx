/** The latents within the brush. */
import type { JSX } from "preact";
import { decimal } from "../decoders/decimal.ts";
import { LatentName } from "../decoders/latent-name.tsx";
import { figure } from "../text/heat-modes.ts";
import type { Brush, Sort, StitchModel, StitchState } from "./stitch-model.ts";

const columns: readonly { sort: Sort; name: string }[] = [
  { sort: "cosine", name: "Cosine" },
  { sort: "fired", name: "Tokens" },
  { sort: "deltaMse", name: "Δ squared error" },
  { sort: "deltaCe", name: "Δ cross-entropy" },
];

/** Ranges that are worth a look, for those who do not drag. */
const quick: readonly { name: string; brush: Brush | undefined }[] = [
  { name: "All", brush: undefined },
  { name: "Novel by both", brush: { cosine: [-2, 0.7], delta: [-1e30, -1e-30] } },
  { name: "Low cosine, no help", brush: { cosine: [-2, 0.7], delta: [0, 1e30] } },
  { name: "High cosine, but helps", brush: { cosine: [0.7, 2], delta: [-1e30, -1e-30] } },
  { name: "Reconstruction by both", brush: { cosine: [0.7, 2], delta: [0, 1e30] } },
];

/** The table with its ranges. */
export function LatentsTable({
  model,
  state,
}: {
  model: StitchModel;
  state: StitchState;
}): JSX.Element {
  const { rows, total, brush, sort, descending } = state;
  return (
    <section aria-label="Latents">
      <div class="controls">
        {quick.map(({ name, brush: range }) => (
          <button
            class="secondary"
            key={name}
            aria-pressed={range === undefined ? !model.isBrushed : brush === range}
            onClick={() => void model.setBrush(range)}
          >
            {name}
          </button>
        ))}
        <span class="brushed quiet" role="status">
          {total} latents{model.isBrushed ? ` with ${brushText(brush)}` : ""}
        </span>
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label="Latents that fire on the sample">
        <table class="latents">
          <thead>
            <tr>
              <th scope="col">Latent</th>
              <th scope="col">Nearest narrow latent</th>
              {columns.map((column) => (
                <th
                  scope="col"
                  key={column.sort}
                  aria-sort={
                    sort !== column.sort ? "none" : descending ? "descending" : "ascending"
                  }
                >
                  <button class="link" onClick={() => void model.sortBy(column.sort)}>
                    {column.name}
                  </button>
                </th>
              ))}
              <th scope="col">Group</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.latent}>
                <td>
                  <LatentName named={row} />
                </td>
                <td>
                  <LatentName named={row.nearest} />
                </td>
                <td class="number">{decimal(row.cosine, 2)}</td>
                <td class="number">{row.fired}</td>
                <td class="number">{figure(row.deltaMse)}</td>
                <td class="number">{row.deltaCe === null ? "–" : figure(row.deltaCe)}</td>
                <td class="number">{row.group === 0 ? "–" : row.group}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {rows.length < total && (
          <button class="secondary" onClick={() => void model.more()}>
            Show more
          </button>
        )}
      </div>
    </section>
  );
}

function brushText({ cosine, delta }: Brush): string {
  return `cosine ${span(cosine, -1, 1)} and change of the squared error ${span(delta, -1e20, 1e20)}`;
}

function span([from, to]: readonly [number, number], least: number, most: number): string {
  if (from <= least) return `up to ${figure(to)}`;
  if (to >= most) return `from ${figure(from)}`;
  return `from ${figure(from)} to ${figure(to)}`;
}
