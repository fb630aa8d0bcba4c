/**
 * Splits a context that is longer than the model's into windows with half overlap.
 *
 * Every window starts at position 0, with BOS in front if the context has one. A token is read in the window
 * where it has most left context: the first window that holds it.
 */

/** One window: which tokens of the context the model sees, and which of them are read there. */
export interface Window {
  /** Index of the first token after BOS. */
  readonly from: number;
  readonly to: number;
  /** Tokens [readFrom, to) are read in this window. */
  readonly readFrom: number;
}

/**
 * The windows of a context.
 *
 * @param nTokens tokens of the context, BOS included
 * @param nBos 1 if token 0 is a BOS that every window repeats, else 0
 * @param n_ctx longest sequence that the model takes
 */
export function windowsOf(nTokens: number, nBos: number, n_ctx: number): Window[] {
  if (nTokens <= n_ctx) return [{ from: nBos, to: nTokens, readFrom: 0 }];
  const width = n_ctx - nBos;
  const stride = Math.max(1, Math.floor(width / 2));
  const windows: Window[] = [];
  for (let from = nBos; ; from += stride) {
    const to = Math.min(nTokens, from + width);
    const readFrom = windows.length === 0 ? 0 : (windows.at(-1)?.to ?? 0);
    windows.push({ from, to, readFrom });
    if (to === nTokens) return windows;
  }
}
