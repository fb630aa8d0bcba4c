import type { JSX } from "preact";
import { heatSteps } from "../../server/protocol/page.ts";
import type { ShownPin } from "../../server/protocol/pins.ts";
import { figure, heatModeText } from "./heat-modes.ts";
import type { TextModel, TextState } from "./text-model.ts";
import { visibleText } from "./visible-text.ts";

/** The scale of the heat, and what it means in one line. */
export function Legend({ state }: { model: TextModel; state: TextState }): JSX.Element {
  const { scale, mode, overview, sae } = state;
  const pins = overview?.pinned.filter((it) => it.sae === sae) ?? [];
  const nothingPinned = mode === "pinned" && pins.length === 0;
  const text = nothingPinned
    ? "No latent of this SAE is pinned. Select a token and pin one of its latents."
    : heatModeText(mode).meaning;
  return (
    <section class="legend" aria-label="Legend">
      {mode === "pinned" && pins.map((pin) => <PinScale key={pin.colour} pin={pin} />)}
      {scale && mode !== "pinned" && (
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

/** The colour of a pinned latent up to the largest activation seen of it: each has a scale of its own. */
function PinScale({ pin }: { pin: ShownPin }): JSX.Element {
  const name = `#${pin.latent}${pin.label === undefined ? "" : ` ${visibleText(pin.label)}`}`;
  return (
    <span class="scale pin-scale" title={name}>
      <span class="pin-name">{name}</span>
      {Array.from({ length: heatSteps }, (_, step) => (
        <span class={`swatch heat${step + 1} pin${pin.colour}`} key={step} />
      ))}
      <span>{figure(pin.max)}</span>
    </span>
  );
}
