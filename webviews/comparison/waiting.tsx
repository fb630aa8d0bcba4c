/** What is shown while an answer is waited for, and when there is none. */
import type { JSX } from "preact";
import type { AskingModel } from "./asking-model.ts";

/** Progress with a way out, and the last problem. */
export function Waiting<Asked, View>({ model }: { model: AskingModel<Asked, View> }): JSX.Element {
  const { working, problem } = model.state;
  return (
    <>
      <div class="working">
        <p role="status">{working ? `${working.text}…` : ""}</p>
        {working && (
          <>
            <progress max={100} value={working.percentage} aria-label="Progress" />
            <button class="secondary" onClick={() => model.cancel()}>
              Cancel
            </button>
          </>
        )}
      </div>
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </>
  );
}

/** A list to choose from, drawn only where there is a choice. */
export function Choice({
  name,
  value,
  options,
  onChange,
}: {
  name: string;
  value: string;
  options: readonly (readonly [value: string, text: string])[];
  onChange: (value: string) => void;
}): JSX.Element | null {
  if (options.length < 2) return null;
  return (
    <label>
      {name}{" "}
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {options.map(([option, text]) => (
          <option key={option} value={option}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}
