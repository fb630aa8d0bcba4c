import type { JSX } from "preact";
import type { AbsorptionSetting } from "../../server/protocol/absorption.ts";
import type { AbsorptionSweep } from "../../server/protocol/absorption-sweep.ts";
import { visibleText } from "../text/visible-text.ts";
import { HeatMap } from "./heat-map.tsx";
import { type Metric, metrics } from "./sweep-figures.ts";
import type { SweepModel, SweepState } from "./sweep-model.ts";
import { FrequencyTable, SaesTable, WidthGrid } from "./sweep-tables.tsx";

interface PageProps {
  readonly model: SweepModel;
  readonly state: SweepState;
}

/** The whole page. */
export function SweepPage({ model, state }: PageProps): JSX.Element {
  const { sweep, problem, metric } = state;
  return (
    <div class="page">
      <header class="header">
        <h1>Absorption over SAEs</h1>
        <button type="button" class="secondary" onClick={() => void model.openFolder()}>
          Open Sweep Folder…
        </button>
      </header>
      {problem !== undefined && (
        <p class="problem" role="alert">
          {visibleText(problem)}
        </p>
      )}
      <main>
        <Form model={model} state={state} />
        {sweep ? (
          <>
            <Facts sweep={sweep} />
            <SaesTable sweep={sweep} />
            <div class="controls">
              <label>
                cells show
                <select
                  value={metric}
                  onChange={(event) => model.showMetric(event.currentTarget.value as Metric)}
                >
                  {Object.entries(metrics).map(([key, name]) => (
                    <option key={key} value={key}>
                      {name}
                    </option>
                  ))}
                </select>
              </label>
            </div>
            <HeatMap model={model} state={state} sweep={sweep} />
            <WidthGrid sweep={sweep} metric={metric} />
            <FrequencyTable sweep={sweep} />
          </>
        ) : (
          <p class="facts">
            SAEs of one model side by side, on one labelled task: measure those in use here, or open
            a folder that “latent-workbench absorption --output” wrote.
          </p>
        )}
      </main>
    </div>
  );
}

function Form({ model, state }: PageProps): JSX.Element | null {
  const { form, choices, progress } = state;
  if (!choices) return null;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!progress) void model.measure();
      }}
    >
      <div class="controls">
        <label>
          task
          <select
            value={form.labels}
            onChange={(event) => model.change({ labels: event.currentTarget.value })}
          >
            {choices.tasks.map(({ name, labels, detail }) => (
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
            <option value="text">running text (the bundled sample)</option>
          </select>
        </label>
        {progress ? (
          <button type="button" onClick={() => model.cancel()}>
            Cancel
          </button>
        ) : (
          <button type="submit" disabled={form.saes.length === 0 || form.labels === ""}>
            Measure
          </button>
        )}
      </div>
      <fieldset class="saes">
        <legend>SAEs in use at {visibleText(choices.lm)}</legend>
        {choices.saes.map(({ id, detail }) => (
          <label key={id}>
            <input
              type="checkbox"
              checked={form.saes.includes(id)}
              onChange={() => model.toggle(id)}
            />
            {visibleText(id)} <span class="quiet">{visibleText(detail)}</span>
          </label>
        ))}
        {choices.saes.length === 0 && (
          <span class="facts">none; “Choose SAEs…” says which are</span>
        )}
      </fieldset>
      <p class="facts" role="status">
        {progress && (
          <>
            <progress max={1} value={progress.share} aria-label="Measured" />{" "}
            {visibleText(progress.text)}…
          </>
        )}
      </p>
    </form>
  );
}

function Facts({ sweep }: { sweep: AbsorptionSweep }): JSX.Element {
  const { lm, task, setting, probe, selection, rows, failed, waiting } = sweep;
  return (
    <section aria-label="What was measured">
      <p class="facts">
        {visibleText(task)} in {setting === "text" ? "running text" : "prompts"} at{" "}
        {visibleText(lm)}: {rows.length} {rows.length === 1 ? "SAE" : "SAEs"}. Rule of SAEBench,
        probe {probe}, latents by {selection}.
        {waiting.length > 0 &&
          ` Not measured yet: ${waiting.map((it) => visibleText(it)).join(", ")}.`}
      </p>
      {failed.map(({ sae, problem }) => (
        <p class="facts" key={sae}>
          {visibleText(sae)} could not be measured: {visibleText(problem)}
        </p>
      ))}
    </section>
  );
}
