/** Figures of runs in words. */
import type { RunInfo, RunSae } from "./runs.ts";

/** A time for people: two units at most. */
export function timeText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days ${hours % 24} h`;
}

/** An SAE's last figures in one line. */
export function figuresText({ id, architecture, d_sae, last }: RunSae): string {
  const parts = [
    id,
    `${architecture}, ${d_sae} latents`,
    last?.fvu === undefined ? "" : `FVU ${short(last.fvu)}`,
    last?.l0 === undefined ? "" : `L0 ${short(last.l0)}`,
    last?.dead === undefined ? "" : `${last.dead} dead`,
  ];
  return parts.filter(Boolean).join(", ");
}

/** How far a run is, with the time that is left. */
export function progressText({ text, secondsLeft }: RunInfo): string {
  return secondsLeft === undefined ? text : `${text}, ${timeText(secondsLeft)} left`;
}

/** True while a process works on the run. */
export function isActive({ state }: RunInfo): boolean {
  return state === "running" || state === "stopping";
}

/** True for a run that can be started or go on. */
export function mayStart({ state }: RunInfo): boolean {
  return state === "new" || state === "stopped" || state === "failed";
}

/** Three significant digits. */
function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
