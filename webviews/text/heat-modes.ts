/** The ways to colour a token strip, in words. */
import type { HeatMode } from "../../server/protocol/page.ts";

/** A mode as the page offers and explains it. */
export interface HeatModeText {
  readonly mode: HeatMode;
  readonly name: string;
  /** What a strong colour means, in one line. */
  readonly meaning: string;
}

/** All modes in the order of the selector. */
export const heatModes: readonly HeatModeText[] = [
  {
    mode: "activation",
    name: "Strongest activation",
    meaning: "The activation of the token's strongest latent.",
  },
  {
    mode: "pinned",
    name: "Pinned latents",
    meaning: "The activation of the pinned latents; uncoloured tokens are where they stay silent.",
  },
  { mode: "l0", name: "L0", meaning: "How many latents are active at the token." },
  {
    mode: "error",
    name: "Reconstruction error",
    meaning: "What the SAE misses: the squared error of x_hat over the squared norm of x.",
  },
  {
    mode: "loss",
    name: "Next-token loss",
    meaning: "How much the token that follows surprised the language model, in nats.",
  },
];

/** The text of a mode. */
export function heatModeText(mode: HeatMode): HeatModeText {
  return heatModes.find((it) => it.mode === mode) ?? (heatModes[0] as HeatModeText);
}

/** A figure for people: three significant digits, no exponent for everyday sizes. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e6)) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}
