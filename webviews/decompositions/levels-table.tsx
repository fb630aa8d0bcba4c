/** Levels side by side, and which one to use. */
import type { JSX } from "preact";
import {
  levelName,
  levelsAdvice,
  type LevelsReport,
} from "../../server/protocol/decompositions.ts";
import { visibleText } from "../text/visible-text.ts";

const columns = [
  ["Level", "an SAE, or meta-latents in the place of its latents"],
  ["Latents", "of the level"],
  ["L0", "active latents of a word, mean over words held out"],
  ["FVU", "share of the variance that the level loses, on words held out"],
  ["Bits", "to name the active latents of a word and to say their activations"],
] as const;

/** One row for each level; the sentence says which. */
export function LevelsTable({ report }: { report: LevelsReport }): JSX.Element {
  const { levels, valueBits } = report;
  const most = levels[0]?.f1.length ?? 0;
  return (
    <section aria-label="Levels">
      <p class="sentence" role="status">
        {visibleText(upper(levelsAdvice(levels)))}
      </p>
      <div class="scroll" tabIndex={0} role="region" aria-label="Levels side by side">
        <table class="levels">
          <thead>
            <tr>
              {columns.map(([name, title]) => (
                <th key={name} scope="col" title={title}>
                  {name}
                </th>
              ))}
              {Array.from({ length: most }, (_, at) => (
                <th
                  key={at}
                  scope="col"
                  title={`mean over labels, on words held out: a probe on the best ${at + 1}`}
                >
                  F1 of {at + 1}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {levels.map((level) => (
              <tr key={levelName(level)}>
                <th scope="row">{visibleText(levelName(level))}</th>
                <td class="number">{level.latents}</td>
                <td class="number">{level.l0.toFixed(1)}</td>
                <td class="number">{level.fvu.toFixed(3)}</td>
                <td class="number">{level.bits.toFixed(0)}</td>
                {level.f1.map((it, at) => (
                  <td class="number" key={at}>
                    {it.toFixed(3)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="facts">
        Bits: L0 · (log2 of the latents + {valueBits} for a value). F1: mean over labels of probes
        on the best one to {most} latents, on words held out.
      </p>
    </section>
  );
}

/** A sentence begins with a capital. */
export function upper(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
