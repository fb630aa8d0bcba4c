/** Pinned latents: up to four, each with a colour of its own. */

/** Latents that can be pinned at once; each has the theme colour `latentWorkbench.pin<n>`, n from 1. */
export const maxPins = 4;

/** Steps of a pin's heat: the theme colours `latentWorkbench.pin<n>Heat1` … `latentWorkbench.pin<n>Heat3`. */
export const pinSteps = 3;

/** The code of the error that says that all colours are taken. */
export const tooManyPins = "too-many-pins";

/** A pinned latent with the number of its colour, which stays when others are unpinned. */
export interface Pin {
  readonly sae: string;
  readonly latent: number;
  readonly colour: number;
}

/** A pin as it is shown. */
export interface ShownPin extends Pin {
  readonly label?: string;
  /** The largest activation seen anywhere, which is its strongest colour; 0 before it fired. */
  readonly max: number;
}

/** Lines of a file in which a pinned latent fires, both included. */
export interface PinMark {
  readonly colour: number;
  readonly fromLine: number;
  readonly toLine: number;
}

/** The methods of the server. */
export interface PinMethods {
  pins(params: Record<string, never>): { pins: ShownPin[] };
  /** Where pinned latents fire in a whole document, for the overview ruler. */
  pinMarks(params: { uri: string }): { version: number; marks: PinMark[] };
}
