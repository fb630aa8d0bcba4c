import type { JSX } from "preact";
import type { AbsorptionSetting } from "../../server/protocol/absorption.ts";
import { textsText } from "../decoders/texts-text.ts";
import { visibleText } from "../text/visible-text.ts";
import type { DecompositionsModel, DecompositionsState } from "./decompositions-model.ts";
import { LevelsTable } from "./levels-table.tsx";
import { Repair } from "./repair.tsx";
import { Run } from "./run.tsx";

interface PageProps {
  readonly model: DecompositionsModel;
  readonly state: DecompositionsState;
}

/** The whole page. */
export function DecompositionsPage({ model, state }: PageProps): JSX.Element {
  const { choices, levels, problem } = state;
  return (
    <div class="page">
      <header class="header">
        <h1>Which decomposition helps?</h1>
        {choices && <p>for words at {choices.lm}</p>}
      </header>
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      <main>
        <Task model={model} state={state} />
        <Levels model={model} state={state} />
        {levels && <LevelsTable report={levels} />}
        {choices && <Repair model={model} state={state} candidates={choices.candidates} />}
      </main>
    </div>
  );
}

/** What both parts of the page ask about. */
function Task({ model, state }: PageProps): JSX.Element {
  const { form, choices } = state;
  return (
    <div class="controls">
      <label>
        task
        <select
          value={form.labels}
          onChange={(event) => model.change({ labels: event.currentTarget.value })}
        >
          {choices?.tasks.map(({ name, labels, detail }) => (
            <option key={labels} value={labels} title={detail}>
              {visibleText(name)}
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
          <span class="quiet">{visibleText(textsText(form.texts))}</span>
        </>
      )}
    </div>
  );
}

function Levels({ model, state }: PageProps): JSX.Element {
  const { form, choices, working } = state;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!working) void model.compare();
      }}
    >
      <fieldset>
        <legend>SAEs and meta-SAEs to compare</legend>
        <ul class="candidates">
          {choices?.candidates.map(({ id, path, detail }) => (
            <li key={path}>
              <label title={path}>
                <input
                  type="checkbox"
                  checked={form.paths.includes(path)}
                  onChange={() => model.toggle(path)}
                />
                <span>
                  {visibleText(id)} <span class="quiet">{visibleText(detail)}</span>
                </span>
              </label>
            </li>
          ))}
        </ul>
      </fieldset>
      <Run
        model={model}
        state={state}
        what="levels"
        title="Compare"
        isDisabled={form.paths.length === 0 || form.labels === ""}
      />
    </form>
  );
}
