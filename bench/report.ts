/** What every benchmark reports: rows of ours against a peer on one machine in one run. */
import { arch, cpus, loadavg, platform, totalmem } from "node:os";

/** One comparison; null where one side was not run or has no such figure. */
export interface Row {
  readonly what: string;
  readonly oursMs: number | null;
  readonly peer: string;
  readonly peerMs: number | null;
  /** oursMs / peerMs. */
  readonly ratio: number | null;
  readonly oursPeakMB: number | null;
  readonly peerPeakMB: number | null;
  /** Every sample behind the two medians, in the order they were taken. */
  readonly oursSamples?: readonly number[];
  readonly peerSamples?: readonly number[];
}

/** Where it was measured. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGB: number;
  readonly system: string;
  readonly node: string;
  /** One-minute load average before the run: figures of a busy machine mean little. */
  readonly loadBefore: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** A whole benchmark. */
export interface Report {
  readonly bench: string;
  readonly machine: Machine;
  readonly rows: readonly Row[];
  /** What both sides were compared in, besides time. */
  readonly checks: readonly string[];
  /** What could not be run here, and why. */
  readonly notRun: readonly string[];
}

/** This machine. */
export function thisMachine(versions: Readonly<Record<string, string>>): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${arch()}`,
    node: process.versions.node,
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    versions,
  };
}

/** Prints the report as JSON or as a table. */
export function printReport(report: Report, json: boolean): void {
  if (json) {
    console.log(JSON.stringify(report, undefined, 1));
    return;
  }
  const { machine } = report;
  const versions = Object.entries(machine.versions).map(([name, it]) => `${name} ${it}`);
  console.log(
    [`${machine.cpu}, ${machine.cores} cores, ${machine.memoryGB} GB`, machine.system]
      .concat(`node ${machine.node}`, versions, `load before ${machine.loadBefore}`)
      .join(", "),
  );
  const cells = report.rows.map((row) => [
    row.what,
    milliseconds(row.oursMs),
    milliseconds(row.peerMs),
    row.ratio === null ? "–" : `${row.ratio.toFixed(row.ratio < 0.1 ? 3 : 2)}×`,
    megabytes(row.oursPeakMB),
    megabytes(row.peerPeakMB),
    row.peer,
  ]);
  const head = ["what", "ours ms", "peer ms", "ratio", "ours MB", "peer MB", "peer"];
  const widths = head.map((title, at) =>
    Math.max(title.length, ...cells.map((row) => row[at]?.length ?? 0)),
  );
  for (const row of [head, ...cells])
    console.log(
      row
        .map((cell, at) =>
          at === 0 || at === 6 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    );
  for (const check of report.checks) console.log(`checked: ${check}`);
  for (const reason of report.notRun) console.log(`not run: ${reason}`);
}

/** Middle of the samples; null for none. */
export function median(samples: readonly number[]): number | null {
  return quantile(samples, 0.5);
}

/** The sample below which a share `q` of the samples lies (nearest rank); null for none. */
export function quantile(samples: readonly number[], q: number): number | null {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? null;
}

/** oursMs / peerMs, where both exist. */
export function ratioOf(ours: number | null, peer: number | null): number | null {
  return ours === null || peer === null ? null : ours / peer;
}

function milliseconds(value: number | null): string {
  if (value === null) return "–";
  return value < 100 ? value.toFixed(1) : value.toFixed(0);
}

function megabytes(value: number | null): string {
  return value === null ? "–" : value.toFixed(0);
}
