/** What a training prints for people. */
import { timeText } from "../protocol/runs-text.ts";
import type { StepLine, StepSpeed } from "./runs/train-loop.ts";

/** One line for a run of one SAE; for several a line with the step and one for each. */
export function stepText(lines: readonly StepLine[], speed: StepSpeed): string {
  const [first] = lines;
  if (first === undefined) return "";
  const { steps, rowsPerSecond, etaSeconds } = speed;
  const far = `step ${first.step + 1} of ${steps}, ${rowsPerSecond} rows/s, ${timeText(etaSeconds)} left`;
  if (first.sae === undefined) return `${far}: ${figures(first)}`;
  const width = Math.max(...lines.map(({ sae = "" }) => sae.length));
  return [far, ...lines.map((line) => `  ${line.sae!.padEnd(width)}  ${figures(line)}`)].join("\n");
}

function figures({ loss, fvu, l0, dead, lr }: StepLine): string {
  const share = fvu === undefined ? "" : `  FVU ${fvu.toFixed(4)}`;
  return `loss ${loss.toPrecision(5)}${share}  L0 ${l0.toFixed(1)}  dead ${dead}  lr ${lr.toPrecision(3)}`;
}
