/** Whether a meta-SAE brings back what absorbing latents hide. */
import type { JSX } from "preact";
import type { AnswerScores } from "../../server/protocol/absorption.ts";
import {
  type DecompositionCandidate,
  type RepairedLabel,
  type RepairReport,
  repairSentence,
} from "../../server/protocol/decompositions.ts";
import { percent } from "../absorption/labels-table.tsx";
import { visibleText } from "../text/visible-text.ts";
import type { DecompositionsModel, DecompositionsState } from "./decompositions-model.ts";
import { Run } from "./run.tsx";

interface RepairProps {
  readonly model: DecompositionsModel;
  readonly state: DecompositionsState;
  readonly candidates: readonly DecompositionCandidate[];
}

/** Links of absorbers to meta-latents that are shown of a label. */
const shownParts = 3;

/** The form, the sentence, and every label. */
export function Repair({ model, state, candidates }: RepairProps): JSX.Element {
  const { form, working, repair } = state;
  const select = (name: string, key: "sae" | "meta"): JSX.Element => (
    <label>
      {name}
      <select
        value={form[key]}
        onChange={(event) => model.change({ [key]: event.currentTarget.value })}
      >
        <option value="">Choose…</option>
        {candidates.map(({ id, path, detail }) => (
          <option key={path} value={path} title={path}>
            {visibleText(`${id} (${detail})`)}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <section aria-label="Repair">
      <h2>Repair absorption</h2>
      <p class="facts">
        A latent that took words over should have their feature among its meta-latents. Repaired,
        the feature counts as present if a main latent fires, or any active latent has such a
        meta-latent. The control deals breakdowns out at random.
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!working) void model.repair();
        }}
      >
        <div class="controls">
          {select("absorption of", "sae")}
          {select("through meta-SAE", "meta")}
        </div>
        <Run
          model={model}
          state={state}
          what="repair"
          title="Try repair"
          isDisabled={form.sae === "" || form.meta === "" || form.sae === form.meta}
        />
      </form>
      {repair && <Outcome report={repair} />}
    </section>
  );
}

function Outcome({ report }: { report: RepairReport }): JSX.Element {
  const absorbed = report.labels.filter(({ parts }) => parts.length > 0);
  return (
    <>
      <p class="sentence" role="status">
        {visibleText(`${report.sae} through ${report.meta}: ${repairSentence(report.labels)}`)}
      </p>
      {absorbed.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Labels before and after repair">
          <table class="repaired">
            <thead>
              <tr>
                <th scope="col">Label</th>
                <th scope="col">Before: precision, recall</th>
                <th scope="col">Repaired</th>
                <th scope="col">Control</th>
                <th scope="col">Absorbers and their meta-latents</th>
              </tr>
            </thead>
            <tbody>
              {absorbed.map((label) => (
                <tr key={label.label}>
                  <th scope="row">{visibleText(label.label)}</th>
                  {[label.before, label.after, label.control].map((scores, at) => (
                    <td class="number" key={at}>
                      {scoresText(scores)}
                    </td>
                  ))}
                  <td>{partsText(label)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

function scoresText({ precision, recall }: AnswerScores): string {
  return `${percent(precision)}, ${percent(recall)}`;
}

function partsText({ parts }: RepairedLabel): string {
  const texts = parts.map(({ absorber, part, cosine }) =>
    part === undefined
      ? `#${absorber}: none along the probe`
      : `#${absorber} → #${part} (cosine ${cosine.toFixed(2)})`,
  );
  const more = texts.length - shownParts;
  return [...texts.slice(0, shownParts), ...(more > 0 ? [`${more} more`] : [])].join(", ");
}
