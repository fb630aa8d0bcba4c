/** Labels and their latents. */
import type { JSX } from "preact";
import type { LabelReport, MeasuredAbsorption } from "../../server/protocol/absorption.ts";
import { decimal } from "../decoders/decimal.ts";
import { visibleText } from "../text/visible-text.ts";
import type { AbsorptionModel, AbsorptionState } from "./absorption-model.ts";

const shownAbsorbers = 3;

/** One row for each label. */
export function LabelsTable(props: {
  model: AbsorptionModel;
  state: AbsorptionState;
  measured: MeasuredAbsorption;
}): JSX.Element {
  const { model, state, measured } = props;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Labels and their latents">
      <table class="labels">
        <thead>
          <tr>
            <th scope="col">Label</th>
            <th scope="col" title="on words held out">
              Probe F1
            </th>
            <th scope="col" title="F1 of a probe on the main latents alone, on words held out">
              Main F1
            </th>
            <th scope="col">Main latents</th>
            <th scope="col" title="“a main latent fires”, against the probe's own answers">
              Precision
            </th>
            <th scope="col" title="“a main latent fires”, against the probe's own answers">
              Recall
            </th>
            <th scope="col">Absorbed</th>
            <th scope="col">In part</th>
            <th scope="col">Fraction</th>
            <th scope="col">Words</th>
            <th scope="col">Absorbers</th>
          </tr>
        </thead>
        <tbody>
          {measured.report.labels.map((label) => (
            <Row
              key={label.label}
              label={label}
              isChosen={state.label === label}
              onChoose={() => model.chooseLabel(label)}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row(props: { label: LabelReport; isChosen: boolean; onChoose: () => void }): JSX.Element {
  const { label: it, isChosen, onChoose } = props;
  const { precision, recall } = it.mainFiresAgainstProbe;
  return (
    <tr aria-current={isChosen ? "true" : undefined}>
      <th scope="row">
        <button class="link" onClick={onChoose}>
          {visibleText(it.label)}
        </button>
        {!it.probeCounts && <span class="quiet"> probe unsure</span>}
        {it.probeCounts && !it.hasMainLatents && <span class="quiet"> no latent for it</span>}
      </th>
      <td class="number">{it.probe.f1.toFixed(2)}</td>
      <td class="number">{it.mainProbe.f1.toFixed(2)}</td>
      <td>{it.main.map(({ latent }) => `#${latent}`).join(" ")}</td>
      <td class="number">{precision.toFixed(2)}</td>
      <td class="number">{recall.toFixed(2)}</td>
      <td class="number">{percent(it.fullRate)}</td>
      <td class="number">{percent(it.partialRate)}</td>
      <td class="number">{it.meanFraction.toFixed(3)}</td>
      <td class="number">{it.words.length}</td>
      <td>
        {it.absorbers
          .slice(0, shownAbsorbers)
          .map(({ latent }) => `#${latent}`)
          .join(" ") || "–"}
      </td>
    </tr>
  );
}

/** A share for people. */
export function percent(share: number): string {
  return `${decimal(share * 100, 1)} %`;
}
