/** How long work is cut into pieces: whoever starts it says when a piece may run, hears how far it is, and can end it. */
export interface Pace {
  readonly signal?: AbortSignal | undefined;
  /** Runs a piece when the device is free; `share` of the whole is done after it. */
  step<T>(piece: () => Promise<T>, share?: number): Promise<T>;
}

/** One piece after the other. */
export const atOnce: Pace = { step: (piece) => piece() };
