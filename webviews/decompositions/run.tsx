import type { JSX } from "preact";
import { visibleText } from "../text/visible-text.ts";
import type { DecompositionsModel, DecompositionsState } from "./decompositions-model.ts";

/** The button of a form, with progress and a way out. */
export function Run(props: {
  model: DecompositionsModel;
  state: DecompositionsState;
  what: "levels" | "repair";
  title: string;
  isDisabled: boolean;
}): JSX.Element {
  const { model, state, what, title, isDisabled } = props;
  const { working } = state;
  if (working?.what !== what)
    return (
      <div class="controls">
        <button type="submit" disabled={isDisabled || working !== undefined}>
          {title}
        </button>
      </div>
    );
  return (
    <div class="controls">
      <button type="button" onClick={() => model.cancel()}>
        Cancel
      </button>
      <p class="facts" role="status">
        <progress max={1} value={working.share} aria-label="Done" /> {visibleText(working.text)}…
      </p>
    </div>
  );
}
