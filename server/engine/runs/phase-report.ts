/** Progress of a run that goes through phases and has no steps: `harvest` and `index`. */
import type { RunFolder } from "../../training/run-folder.ts";
import type { DataReport } from "./open-data.ts";

/** Progress is told no more often than this, and the stop file looked for. */
const reportMs = 250;

/** Progress to `process.json` and to whoever watches; the stop file counts as a signal. */
export function phaseReport(
  folder: RunFolder,
  {
    signal,
    onProgress,
  }: { readonly signal: AbortSignal; readonly onProgress: (text: string) => void },
): DataReport {
  const stop = new AbortController();
  let last = 0;
  return {
    signal: AbortSignal.any([signal, stop.signal]),
    onProgress(phase, share, note) {
      const now = performance.now();
      if (now - last < reportMs) return;
      last = now;
      if (folder.stopRequested) stop.abort();
      folder.beatPhase(phase, share, note);
      onProgress(`${phase} ${Math.round((share ?? 0) * 100)} %${note ? ` (${note})` : ""}`);
    },
  };
}
