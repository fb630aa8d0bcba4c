/** The text with each token's part in the number: latents and error together. */
import type { JSX } from "preact";
import type { AttributionView } from "../../server/protocol/page-causes.ts";
import { visibleText } from "../text/visible-text.ts";
import type { AttributionModel, AttributionState } from "./attribution-model.ts";
import { signed } from "./share-bar.tsx";

const steps = 4;

/** A button for each token that was asked about. */
export function TokenStrip(props: {
  model: AttributionModel;
  state: AttributionState;
  view: AttributionView;
}): JSX.Element {
  const { model, state, view } = props;
  const parts = partsOf(view);
  const largest = Math.max(...[...parts.values()].map(Math.abs), 0);
  return (
    <ol class="strip" aria-label="Tokens; choose one to list its latents alone">
      {view.tokens.map((token, position) => {
        const part = parts.get(position);
        const text = visibleText(token.text);
        return (
          <li key={position}>
            {part === undefined ? (
              <span class="token outside">{text}</span>
            ) : (
              <button
                class={`token ${heatOf(part, largest)}`}
                aria-pressed={state.position === position}
                aria-label={`${text}, position ${position}, ${signed(part)}`}
                title={`position ${position}: ${signed(part)}`}
                onClick={() => model.choose(position)}
              >
                {text}
              </button>
            )}
          </li>
        );
      })}
    </ol>
  );
}

/** Listed latents and error, by position. */
function partsOf({ latents, error }: AttributionView): Map<number, number> {
  const parts = new Map(error.map(({ position, attribution }) => [position, attribution]));
  for (const { position, attribution } of latents)
    parts.set(position, (parts.get(position) ?? 0) + attribution);
  return parts;
}

function heatOf(part: number, largest: number): string {
  const step = largest === 0 ? 0 : Math.round((Math.abs(part) / largest) * steps);
  return step === 0 ? "" : `${part < 0 ? "lowers" : "raises"}${step}`;
}
