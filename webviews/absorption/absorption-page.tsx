import type { JSX } from "preact";
import type { AbsorptionReport, AbsorptionSetting } from "../../server/protocol/absorption.ts";
import { textsText } from "../decoders/texts-text.ts";
import { visibleText } from "../text/visible-text.ts";
import type { AbsorptionModel, AbsorptionState } from "./absorption-model.ts";
import { CausalSection } from "./causal-section.tsx";
import { LabelDetails } from "./label-details.tsx";
import { LabelsTable, percent } from "./labels-table.tsx";
import { Places } from "./places.tsx";

interface PageProps {
  readonly model: AbsorptionModel;
  readonly state: AbsorptionState;
}

/** The whole page. */
export function AbsorptionPage({ model, state }: PageProps): JSX.Element {
  const { measured, label, problem, choices } = state;
  return (
    <div class="page">
      <header class="header">
        <h1>Absorption</h1>
        {choices && <p>of SAEs at {choices.lm}</p>}
      </header>
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      <main>
        <Form model={model} state={state} />
        {!measured && model.places.state.title !== undefined && <Places places={model.places} />}
        {measured ? (
          <>
            <Summary report={measured.report} />
            <LabelsTable model={model} state={state} measured={measured} />
            {label && (
              <LabelDetails model={model} state={state} label={label} names={measured.names} />
            )}
            <CausalSection causal={model.causal} names={measured.names} />
            <Places
              places={model.places}
              about={{ ...measured.report, uri: model.uri }}
              label={label}
              word={state.word}
            />
          </>
        ) : (
          <p class="facts">
            A word is absorbed when the probe is sure of its label, the label's main latents are
            silent, and another latent carries the probe's direction in their place. Measuring also
            makes hovers judge by the task.
          </p>
        )}
      </main>
    </div>
  );
}

function Form({ model, state }: PageProps): JSX.Element {
  const { form, choices, progress } = state;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!progress) void model.measure();
      }}
    >
      <div class="controls">
        <label>
          SAE
          <select
            value={form.sae}
            onChange={(event) => model.change({ sae: event.currentTarget.value })}
          >
            {choices?.saes.map(({ id, detail }) => (
              <option key={id} value={id}>
                {id} ({detail})
              </option>
            ))}
          </select>
        </label>
        <label>
          task
          <select
            value={form.labels}
            onChange={(event) => model.change({ labels: event.currentTarget.value })}
          >
            {choices?.tasks.map(({ name, labels, detail }) => (
              <option key={labels} value={labels} title={detail}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label>
          words in
          <select
            value={form.setting}
            onChange={(event) =>
              model.change({ setting: event.currentTarget.value as AbsorptionSetting })
            }
          >
            <option value="prompts">the task's prompts</option>
            <option value="text">running text</option>
          </select>
        </label>
        {form.setting === "text" && (
          <>
            <button type="button" class="secondary" onClick={() => void model.pickTexts()}>
              Texts…
            </button>
            <span class="quiet">{textsText(form.texts)}</span>
          </>
        )}
        {progress ? (
          <button type="button" onClick={() => model.cancel()}>
            Cancel
          </button>
        ) : (
          <button type="submit" disabled={form.sae === "" || form.labels === ""}>
            Measure
          </button>
        )}
      </div>
      {choices?.saes.length === 0 && (
        <p class="facts">No SAE is in use here; “Choose SAEs…” says which are.</p>
      )}
      <p class="facts" role="status">
        {progress && (
          <>
            <progress max={1} value={progress.share} aria-label="Measured" /> {progress.text}…
          </>
        )}
      </p>
    </form>
  );
}

function Summary({ report }: { report: AbsorptionReport }): JSX.Element {
  const { mean, labels, sae, hook, task, setting, trainWords, testWords, problems } = report;
  return (
    <section aria-label="Summary">
      <p class="facts">
        {sae} at {hook}, {visibleText(task)} in {setting === "text" ? "running text" : "prompts"}:
        the probe knows {mean.labels} of {labels.length} labels (mean F1 {mean.probeF1.toFixed(2)});
        over these {percent(mean.fullRate)} of words are absorbed fully, {percent(mean.partialRate)}{" "}
        in part, mean fraction {mean.fraction.toFixed(3)}. {trainWords} words to train on,{" "}
        {testWords} held out; rule of SAEBench.
      </p>
      {problems.map((it) => (
        <p class="facts" key={it}>
          {visibleText(it)}
        </p>
      ))}
    </section>
  );
}
