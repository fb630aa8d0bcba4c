/** What removing latents does to the answer: bars with intervals, and the same as figures. */
import type { JSX } from "preact";
import type {
  CausalReport,
  RemovalEffect,
  RemovedKind,
} from "../../server/protocol/causal-absorption.ts";
import { decimal } from "../decoders/decimal.ts";
import { visibleText } from "../text/visible-text.ts";
import type { CausalModel } from "./causal-model.ts";

const removed: Readonly<Record<RemovedKind, { readonly name: string; readonly detail: string }>> = {
  main: {
    name: "main latents",
    detail: "words that the main latents' own probe knows; all that fire are removed at once",
  },
  "main-weak": {
    name: "main latents where they are weak",
    detail: "words on which main latents fire and their own probe says no",
  },
  "absorber-causal": {
    name: "absorbers by the paper's rule",
    detail: "chosen by their effect, so an effect is no news",
  },
  "absorber-projection": {
    name: "absorbers by SAEBench's rule",
    detail: "chosen by the probe's projection alone",
  },
  "other-active": {
    name: "other active latents",
    detail: "on the absorbers' words, the active latent nearest in activation",
  },
  random: {
    name: "random latents",
    detail: "on the absorbers' words, as much of a random latent as the absorber's activation",
  },
};

/** The chart with its table. */
export function RemovalEffects({
  causal,
  report,
}: {
  causal: CausalModel;
  report: CausalReport;
}): JSX.Element {
  const { label, effectsOf } = causal.state;
  const isOfLabel = effectsOf === "label" && label !== undefined;
  const effects = isOfLabel ? label.effects : report.effects;
  const range = rangeOf(effects);
  return (
    <>
      <div class="controls">
        <label>
          effects of removal, over
          <select
            value={isOfLabel ? "label" : "all"}
            onChange={(event) =>
              causal.showEffects(event.currentTarget.value === "label" ? "label" : "all")
            }
          >
            <option value="all">all labels</option>
            {label && <option value="label">label {visibleText(label.label)}</option>}
          </select>
        </label>
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label="Effects of removal">
        <table class="effects">
          <caption>
            Change of the logit difference when latents are removed at the word: mean over words, 95
            % interval by bootstrap
          </caption>
          <thead>
            <tr>
              <th scope="col">Removed</th>
              <th scope="col">
                <span class="sr-only">Bar</span>
              </th>
              <th scope="col">Mean</th>
              <th scope="col">Interval</th>
              <th scope="col">Words</th>
            </tr>
          </thead>
          <tbody>
            {effects.map((effect) => (
              <tr key={effect.kind}>
                <th scope="row">{removed[effect.kind].name}</th>
                <td>
                  <IntervalBar effect={effect} range={range} />
                </td>
                <td class="number">{decimal(effect.mean, 3)}</td>
                <td class="number">
                  {effect.words === 1
                    ? "–"
                    : `${decimal(effect.low, 3)} … ${decimal(effect.high, 3)}`}
                </td>
                <td class="number">{effect.words}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <ul class="kinds">
        {effects.map(({ kind }) => (
          <li key={kind}>
            {removed[kind].name}: {removed[kind].detail}
          </li>
        ))}
      </ul>
    </>
  );
}

/** A bar from 0 to the mean with its interval; all rows have one scale. */
function IntervalBar({
  effect: { mean, low, high, words },
  range: [from, to],
}: {
  effect: RemovalEffect;
  range: readonly [number, number];
}): JSX.Element {
  const at = (value: number): number => (200 * (value - from)) / (to - from);
  const [zero, end] = [at(0), at(mean)];
  return (
    <svg class="interval" viewBox="0 0 200 14" preserveAspectRatio="none" aria-hidden="true">
      <line class="zero" x1={zero} y1="0" x2={zero} y2="14" />
      <rect
        class={mean < 0 ? "lowers" : "raises"}
        x={Math.min(zero, end)}
        y="3"
        width={Math.abs(end - zero)}
        height="8"
      />
      {words > 1 && (
        <path class="whisker" d={`M${at(low)} 7H${at(high)}M${at(low)} 3V11M${at(high)} 3V11`} />
      )}
    </svg>
  );
}

/** From the lowest to the highest of what is drawn, 0 included. */
function rangeOf(effects: readonly RemovalEffect[]): readonly [number, number] {
  const from = Math.min(0, ...effects.map((it) => it.low));
  const to = Math.max(0, ...effects.map((it) => it.high));
  const room = 0.02 * (to - from) || 1;
  return [from - room, to + room];
}
