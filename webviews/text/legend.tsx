import type { JSX } from "preact";
import { heatSteps } from "../../server/protocol/page.ts";
import { figure, heatModeText } from "./heat-modes.ts";
import type { TextModel, TextState } from "./text-model.ts";

/** The scale of the heat, and what it means in one line. */
export function Legend({ state }: { model: TextModel; state: TextState }): JSX.Element {
  const { scale, mode, overview, sae } = state;
  const nothingPinned = mode === "pinned" && !overview?.pinned.some((it) => it.sae === sae);
  const text = nothingPinned
    ? "No latent of this SAE is pinned. Select a token and pin one of its latents."
    : heatModeText(mode).meaning;
  return (
    <section class="legend" aria-label="Legend">
      {scale && !nothingPinned && (
        <span
          class="scale"
          role="img"
          aria-label={`Scale from ${figure(scale.min)} to ${figure(scale.max)} ${scale.unit}`}
        >
          <span>{figure(scale.min)}</span>
          {Array.from({ length: heatSteps }, (_, step) => (
            <span class={`swatch heat${step + 1}`} key={step} />
          ))}
          <span>
            {figure(scale.max)} {scale.unit}
          </span>
        </span>
      )}
      <span class="meaning">{text}</span>
    </section>
  );
}
