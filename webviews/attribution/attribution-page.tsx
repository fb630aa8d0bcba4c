import type { JSX } from "preact";
import type {
  AttributeNext,
  AttributionView,
  PageTarget,
} from "../../server/protocol/page-causes.ts";
import { decimal } from "../decoders/decimal.ts";
import { figure } from "../text/heat-modes.ts";
import { visibleText } from "../text/visible-text.ts";
import type { AttributionModel, AttributionState } from "./attribution-model.ts";
import { LatentTable } from "./latent-table.tsx";
import { MetaTable } from "./meta-table.tsx";
import { TokenStrip } from "./token-strip.tsx";

/** Steps of integrated gradients that can be chosen; more add up more exactly. */
const integratedSteps = [16, 64, 256] as const;

interface PageProps {
  readonly model: AttributionModel;
  readonly state: AttributionState;
}

/** The whole page. */
export function AttributionPage({ model, state }: PageProps): JSX.Element {
  const { view, problem } = state;
  return (
    <main class="page" aria-busy={state.working !== undefined}>
      <h1>{view ? `What “${lastToken(view)}” is followed by` : "Attribution"}</h1>
      <Working model={model} state={state} />
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {state.asked && view && <Choices model={model} asked={state.asked} view={view} />}
      {view && <Answer model={model} state={state} view={view} />}
    </main>
  );
}

function lastToken(view: AttributionView): string {
  return visibleText(view.tokens[view.position]?.text ?? "");
}

function Working({ model, state: { working } }: PageProps): JSX.Element {
  return (
    <div class="working">
      <p role="status">{working ? `Attributing: ${working.text}` : ""}</p>
      {working && (
        <>
          <progress max={100} value={working.percentage} aria-label="Progress" />
          <button class="secondary" onClick={() => model.cancel()}>
            Cancel
          </button>
        </>
      )}
    </div>
  );
}

function Choices(props: {
  model: AttributionModel;
  asked: AttributeNext;
  view: AttributionView;
}): JSX.Element {
  const { model, asked, view } = props;
  const { target, method } = asked;
  const name = target.kind === "token" ? String(target.token.id) : target.kind;
  const choose = (value: string): void => {
    const minus = target.minus ? { minus: target.minus } : {};
    const next: PageTarget =
      value === "top" || value === "next"
        ? { kind: value, ...minus }
        : { kind: "token", token: { id: Number(value) }, ...minus };
    model.change({ target: next });
  };
  const subtract = (value: string): void => {
    const { minus: _, ...rest } = target;
    model.change({
      target: value === "" ? rest : { ...rest, minus: { id: Number(value) } },
    });
  };
  const likely = view.next.map(({ id, text, probability }) => (
    <option key={id} value={String(id)}>
      {`“${visibleText(text)}” ${(probability * 100).toFixed(1)} %`}
    </option>
  ));
  return (
    <form class="choices" onSubmit={(event) => event.preventDefault()}>
      <label>
        Logit of{" "}
        <select value={name} onChange={(event) => choose(event.currentTarget.value)}>
          <option value="top">the likeliest token</option>
          <option value="next">the token that follows</option>
          {likely}
        </select>
      </label>
      <label>
        less{" "}
        <select
          value={target.minus ? String(target.minus.id) : ""}
          onChange={(event) => subtract(event.currentTarget.value)}
        >
          <option value="">nothing</option>
          {likely}
        </select>
      </label>
      <label>
        by{" "}
        <select
          value={method === "gradient" ? method : String(asked.steps)}
          onChange={({ currentTarget: { value } }) =>
            model.change(
              value === "gradient"
                ? { method: value }
                : { method: "integrated", steps: Number(value) },
            )
          }
        >
          {integratedSteps.map((steps) => (
            <option key={steps} value={String(steps)}>
              integrated gradients, {steps} steps
            </option>
          ))}
          <option value="gradient">gradient × activation</option>
        </select>
      </label>
      <label>
        <input
          type="checkbox"
          checked={asked.ablations > 0}
          onChange={(event) => model.change({ ablations: event.currentTarget.checked ? 20 : 0 })}
        />{" "}
        check the 20 strongest by ablation
      </label>
    </form>
  );
}

function Answer({ model, state, view }: PageProps & { view: AttributionView }): JSX.Element {
  const whole = view.value - view.baseline;
  const steps = view.method === "integrated" ? `, ${view.steps} steps` : "";
  return (
    <>
      <p class="facts">
        {visibleText(view.metric)}: <b>{figure(view.value)}</b>; without latents and error{" "}
        {figure(view.baseline)}. The shares add up to {figure(view.sum)} of the difference of{" "}
        {figure(whole)}
        {steps}.
        {view.correlation !== undefined &&
          ` Agreement with ablation: r = ${decimal(view.correlation, 3)}.`}{" "}
        {view.sae} at {view.hook}, {view.lm}.
      </p>
      {view.problems.map((it) => (
        <p key={it} class="warning">
          {visibleText(it)}
        </p>
      ))}
      <TokenStrip model={model} state={state} view={view} />
      <LatentTable model={model} state={state} view={view} />
      {view.meta && <MetaTable model={model} view={view} meta={view.meta} />}
    </>
  );
}
