import type { JSX } from "preact";
import type { HeatMode, PageSae } from "../../server/protocol/page.ts";
import { figure, heatModes } from "./heat-modes.ts";
import type { TextModel, TextState } from "./text-model.ts";

/** The choices of a page (context, SAE, heat) and what is known of the SAE. */
export function Toolbar({ model, state }: { model: TextModel; state: TextState }): JSX.Element {
  const { overview } = state;
  const contexts = overview?.contexts ?? [];
  const saes = overview?.saes ?? [];
  const sae = saes.find(({ id }) => id === state.sae);
  return (
    <header class="toolbar">
      <h1 class="sr-only">Tokens of {state.name || "the document"}</h1>
      <div class="choices">
        {contexts.length > 1 && (
          <Choice
            label="Context"
            value={String(state.context)}
            options={contexts.map((context) => ({
              value: String(context.index),
              text: contextText(context),
            }))}
            onChange={(value) => model.setContext(Number(value))}
          />
        )}
        {saes.length > 0 && (
          <Choice
            label="SAE"
            value={state.sae ?? ""}
            options={saes.map(({ id }) => ({ value: id, text: id }))}
            onChange={(value) => model.setSae(value)}
          />
        )}
        <Choice
          label="Heat"
          value={state.mode}
          options={heatModes.map(({ mode, name }) => ({ value: mode, text: name }))}
          onChange={(value) => model.setMode(value as HeatMode)}
        />
      </div>
      {overview && overview.state !== "off" && (
        <p class="facts">
          {[overview.lm, sae?.hook, ...checkTexts(sae), overview.device].map(
            (fact) =>
              fact && (
                <span class="fact" key={fact}>
                  {fact}
                </span>
              ),
          )}
          {[...(sae?.badges ?? []), ...(sae?.selfCheck?.warnings ?? [])].map((badge) => (
            <span class="badge" key={badge}>
              {badge}
            </span>
          ))}
        </p>
      )}
      {overview?.state === "working" && <div class="progress" />}
    </header>
  );
}

function Choice(props: {
  label: string;
  value: string;
  options: readonly { value: string; text: string }[];
  onChange: (value: string) => void;
}): JSX.Element {
  return (
    <label class="choice">
      <span>{props.label}</span>
      <select value={props.value} onChange={(event) => props.onChange(event.currentTarget.value)}>
        {props.options.map(({ value, text }) => (
          <option key={value} value={value} selected={value === props.value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

function contextText(context: { index: number; title: string; tokens: number }): string {
  const size = context.tokens === 1 ? "1 token" : `${context.tokens} tokens`;
  return `${context.index + 1}: ${context.title || "untitled"} (${size})`;
}

/** Figures of the self-check, in the words of the field. */
function checkTexts(sae: PageSae | undefined): string[] {
  if (!sae) return [];
  const check = sae.selfCheck;
  if (!check) return [`${sae.d_sae} latents`];
  return [`${sae.d_sae} latents`, `L0 ${figure(check.l0)}`, `FVU ${figure(check.fvu)}`];
}
