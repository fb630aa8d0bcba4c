import type { JSX } from "preact";
import type { PageProps } from "./toy-page.tsx";
import { percent, titleOf, two } from "./toy-texts.ts";

/** All results in a line each, so that one sees what a knob did. */
export function SummaryTable({ state: { kept } }: PageProps): JSX.Element {
  return (
    // A region that scrolls must be reachable by keyboard.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- see above
    <div class="scroll" tabIndex={0} role="region" aria-label="All results">
      <table class="summary">
        <caption>All results</caption>
        <thead>
          <tr>
            <th scope="col">SAE</th>
            <th scope="col">Hierarchy</th>
            <th scope="col">Co-occurrence</th>
            <th scope="col">Absorbed</th>
            <th scope="col">Carried</th>
            <th scope="col">Recovery</th>
            <th scope="col">Split</th>
            <th scope="col">L0</th>
            <th scope="col">FVU</th>
            <th scope="col">Dead</th>
            <th scope="col">Seconds</th>
          </tr>
        </thead>
        <tbody>
          {kept.map((it) => {
            const { knobs, result } = it;
            return (
              <tr key={it.id}>
                <th scope="row">
                  {it.id}. {titleOf(it)}
                </th>
                <td class="number">{percent(knobs.hierarchy)}</td>
                <td class="number">{percent(knobs.coOccurrence)}</td>
                <td class="number">{percent(result.absorption.absorbed)}</td>
                <td class="number">{percent(result.absorption.carried)}</td>
                <td class="number">{two(result.recovery.matchedCosine)}</td>
                <td class="number">{percent(result.split)}</td>
                <td class="number">{two(result.sae.l0)}</td>
                <td class="number">{result.sae.fvu.toFixed(3)}</td>
                <td class="number">{result.sae.dead}</td>
                <td class="number">{result.seconds.toFixed(1)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
