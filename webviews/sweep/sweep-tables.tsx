/** A sweep's tables beside the heat map: SAEs, width against L0, and word frequency. */
import type { JSX } from "preact";
import type { AbsorptionSweep } from "../../server/protocol/absorption-sweep.ts";
import { visibleText } from "../text/visible-text.ts";
import {
  binOf,
  binsOf,
  binText,
  gridOf,
  heatOf,
  meanOf,
  type Metric,
  metrics,
  trainingText,
  wholePercent,
} from "./sweep-figures.ts";

/** One row for each SAE. */
export function SaesTable({ sweep }: { sweep: AbsorptionSweep }): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="SAEs">
      <table class="figures">
        <thead>
          <tr>
            <th scope="col">SAE</th>
            <th scope="col">Trained</th>
            <th scope="col">Hook</th>
            <th scope="col">Latents</th>
            <th scope="col" title="mean active latents at held-out words">
              L0
            </th>
            <th scope="col" title="labels that the probe knows">
              Labels
            </th>
            <th
              scope="col"
              title="of these, labels that have main latents: on the others the rule counts absence"
            >
              With latents
            </th>
            <th scope="col" title="F1 of probes on the main latents, on words held out">
              Main F1
            </th>
            <th scope="col">Absorbed</th>
            <th scope="col">In part</th>
            <th scope="col" title="mean and standard deviation over labels">
              Fraction
            </th>
          </tr>
        </thead>
        <tbody>
          {sweep.rows.map((row) => (
            <tr key={row.sae}>
              <th scope="row">{visibleText(row.sae)}</th>
              <td>{visibleText(trainingText(row))}</td>
              <td>{visibleText(row.hook)}</td>
              <td class="number">{row.d_sae}</td>
              <td class="number">{row.l0.toFixed(1)}</td>
              <td class="number">{row.mean.labels}</td>
              <td class="number">
                {row.labels.filter((it) => it.probeCounts && it.hasMainLatents).length}
              </td>
              <td class="number">{row.mean.mainF1.toFixed(2)}</td>
              <td class="number">{percent(row.mean.fullRate)}</td>
              <td class="number">{percent(row.mean.partialRate)}</td>
              <td class="number">
                {row.mean.fraction.toFixed(3)} ± {row.mean.standardDeviation.fraction.toFixed(3)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Width against L0, where the SAEs form a grid. */
export function WidthGrid(props: { sweep: AbsorptionSweep; metric: Metric }): JSX.Element | null {
  const grid = gridOf(props.sweep);
  if (!grid) return null;
  const { metric } = props;
  return (
    <section aria-label="Width and L0">
      <h2>By width and L0: {metrics[metric]}, per cent</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label="Width against L0">
        <table class="heat">
          <thead>
            <tr>
              <th scope="col">Latents</th>
              {grid.l0s.map((l0) => (
                <th key={l0} scope="col">
                  L0 {l0}–{2 * l0}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {grid.cells.map((line, at) => (
              <tr key={grid.widths[at]}>
                <th scope="row">{grid.widths[at]}</th>
                {line.map((rows, column) => {
                  const figure =
                    rows.length === 0
                      ? undefined
                      : rows.reduce((sum, row) => sum + meanOf(row, metric), 0) / rows.length;
                  return (
                    <td
                      key={grid.l0s[column]}
                      class={`number ${heatOf(figure)}`}
                      title={rows.map((row) => row.sae).join(", ")}
                    >
                      {figure === undefined ? "" : wholePercent(figure)}
                      {rows.length > 1 && <span class="quiet"> ({rows.length} SAEs)</span>}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="facts">
        Means over labels that the probe knows, labels without latents among them.
      </p>
    </section>
  );
}

/** Absorption by how often a word's token stands in the corpus. */
export function FrequencyTable({ sweep }: { sweep: AbsorptionSweep }): JSX.Element | null {
  const bins = binsOf(sweep);
  if (bins.length === 0) return null;
  const { corpus } = sweep;
  return (
    <section aria-label="Word frequency">
      <h2>By word frequency: fully absorbed, per cent (words)</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label="Absorption by word frequency">
        <table class="heat">
          <thead>
            <tr>
              <th scope="col">SAE</th>
              {bins.map((bin) => (
                <th key={binText(bin)} scope="col">
                  {binText(bin)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {sweep.rows.map((row) => (
              <tr key={row.sae}>
                <th scope="row">{visibleText(row.sae)}</th>
                {bins.map((bin) => {
                  const found = binOf(row, bin);
                  return (
                    <td key={binText(bin)} class={`number ${heatOf(found?.fullRate)}`}>
                      {found && (
                        <>
                          {wholePercent(found.fullRate)} <span class="quiet">({found.words})</span>
                        </>
                      )}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="facts">
        Occurrences per million tokens of {corpus.files.map((it) => visibleText(it)).join(", ")} (
        {corpus.tokens} tokens); words of labels that have main latents.
      </p>
    </section>
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
