import type { JSX } from "preact";
import { unreachable } from "../../server/base/errors.ts";
import type { TextModel, TextState } from "./text-model.ts";

/** What stands in the place of the strip while there is none, and what to do about it. */
export function NoTokens({ model, state }: { model: TextModel; state: TextState }): JSX.Element {
  const { overview } = state;
  if (!overview) {
    return state.problem === undefined ? (
      <Note busy text="Waiting for the language server…" />
    ) : (
      <Note text="The document could not be read.">
        <button onClick={() => void model.refresh()}>Try again</button>
        <ShowLog model={model} />
      </Note>
    );
  }
  switch (overview.state) {
    case "off":
      return (
        <Note text={`${state.name} is not read: no pattern of latentWorkbench.files matches it.`}>
          <button onClick={() => void model.switchOn()}>Read this file</button>
        </Note>
      );
    case "working":
      return <Note busy text={`Reading ${state.name}…`} />;
    case "failed":
      return (
        <Note text={`${state.name} could not be read.`}>
          <button onClick={() => model.run("restartReader")}>Restart reader</button>
          <button class="secondary" onClick={() => model.run("chooseLm")}>
            Choose language model
          </button>
          <button class="secondary" onClick={() => model.run("chooseSaes")}>
            Choose SAEs
          </button>
          <ShowLog model={model} />
        </Note>
      );
    case "ready":
      return overview.lm === undefined && overview.contexts.length > 0 ? (
        <Note busy text={`Reading ${state.name}…`} />
      ) : (
        <Note text={`${state.name} has no text yet. Type something in the editor.`} />
      );
    default:
      return unreachable(overview.state);
  }
}

function ShowLog({ model }: { model: TextModel }): JSX.Element {
  return (
    <button class="secondary" onClick={() => model.run("showLog")}>
      Show log
    </button>
  );
}

function Note(props: {
  text: string;
  busy?: boolean;
  children?: JSX.Element | JSX.Element[];
}): JSX.Element {
  return (
    <main class="note" aria-busy={props.busy === true}>
      {props.busy && <div class="progress" />}
      <p>{props.text}</p>
      {props.children && <div class="actions">{props.children}</div>}
    </main>
  );
}
