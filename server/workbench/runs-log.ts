/**
 * The events of a run, read at the file's end as they come. The file stays the channel: nothing else tells the server
 * how a run is doing, so a run that a shell started shows like any other.
 */
import { exists, openFile } from "../files/disk.ts";
import { type RunCurves, type RunFigures, type RunMetric, runMetrics } from "../protocol/runs.ts";

/** Bytes read at once, so that a long file does not hold up hovers. */
const pieceBytes = 2 ** 20;
/** So many bytes before the place that was read to are compared, to see that the file was not cut back meanwhile. */
const guardBytes = 96;

/** What a line of events.jsonl says, as far as curves and lists show it. */
export interface RunEvent {
  /** The SAE of a sweep; empty for the only one. */
  readonly sae: string;
  readonly figures: RunFigures;
}

/** The figures of one SAE, column by column; NaN where a step has no such figure. */
interface Columns {
  readonly steps: number[];
  readonly values: { readonly [metric in RunMetric]: number[] };
}

/** The events of one run. */
export class RunLog {
  readonly #path: string;
  readonly #columns = new Map<string, Columns>();
  #offset = 0;
  #guard: Uint8Array = new Uint8Array(0);
  #reading: Promise<void> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Reads what has been added since the last time. */
  refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** The SAEs that have events, in the order of their first. */
  get saes(): readonly string[] {
    return [...this.#columns.keys()];
  }

  /** The newest figures of an SAE: of each metric its last one. */
  last(sae: string): RunFigures | undefined {
    const columns = this.#columns.get(sae);
    const step = columns?.steps.at(-1);
    if (!columns || step === undefined) return undefined;
    const found: { step: number } & { [metric in RunMetric]?: number } = { step };
    for (const metric of runMetrics) {
      const value = columns.values[metric].findLast((it) => !Number.isNaN(it));
      if (value !== undefined) found[metric] = value;
    }
    return found;
  }

  /** Curves over the steps `[fromStep, toStep]`, thinned to `points` means of neighbours. */
  curves(sae: string, range: { fromStep?: number; toStep?: number; points: number }): RunCurves {
    const columns = this.#columns.get(sae) ?? emptyColumns();
    const { steps, values } = columns;
    const first = lowerBound(steps, range.fromStep ?? 0);
    const end = lowerBound(steps, (range.toStep ?? Number.POSITIVE_INFINITY) + 1);
    const buckets = Math.max(1, Math.min(Math.floor(range.points), end - first));
    const edges = Array.from(
      { length: end > first ? buckets + 1 : 1 },
      (_, at) => first + Math.round((at * (end - first)) / buckets),
    );
    const thinned = <T>(read: (from: number, to: number) => T): T[] =>
      edges.slice(1).map((to, at) => read(edges[at] as number, to));
    return {
      steps: thinned((_, to) => steps[to - 1] as number),
      values: mapMetrics((metric) => thinned((from, to) => meanOf(values[metric], from, to))),
      firstStep: steps[0] ?? 0,
      lastStep: steps.at(-1) ?? 0,
    };
  }

  async #read(): Promise<void> {
    if (!exists(this.#path)) return this.#forget();
    const file = openFile(this.#path);
    try {
      if (!this.#continues(file)) this.#forget();
      while (this.#offset < file.size) {
        const bytes = new Uint8Array(Math.min(pieceBytes, file.size - this.#offset));
        file.read(this.#offset, bytes);
        // A line that is being written has no end yet.
        const end = bytes.lastIndexOf(10) + 1;
        if (end === 0) break;
        for (const line of new TextDecoder().decode(bytes.subarray(0, end)).split("\n")) {
          const event = parseRunEvent(line);
          if (event) this.#add(event);
        }
        this.#offset += end;
        this.#guard = bytes.slice(Math.max(0, end - guardBytes), end);
        if (this.#offset < file.size) await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      file.close();
    }
  }

  /** False if the file is not the one that was read so far: a resumed run cuts it back to its checkpoint. */
  #continues(file: { size: number; read(offset: number, into: Uint8Array): void }): boolean {
    if (file.size < this.#offset) return false;
    const now = new Uint8Array(this.#guard.length);
    file.read(this.#offset - now.length, now);
    return now.every((byte, at) => byte === this.#guard[at]);
  }

  #forget(): void {
    this.#columns.clear();
    this.#offset = 0;
    this.#guard = new Uint8Array(0);
  }

  #add({ sae, figures }: RunEvent): void {
    const columns = this.#columns.get(sae) ?? emptyColumns();
    this.#columns.set(sae, columns);
    const { steps, values } = columns;
    // Several events may tell of one step.
    const isNew = steps.at(-1) !== figures.step;
    if (isNew) steps.push(figures.step);
    for (const metric of runMetrics) {
      const value = figures[metric];
      if (isNew) values[metric].push(value ?? Number.NaN);
      else if (value !== undefined) values[metric][steps.length - 1] = value;
    }
  }
}

/** A line as an event; undefined for lines that tell of no step (starts, checkpoints) or that a crash cut. */
export function parseRunEvent(line: string): RunEvent | undefined {
  if (line.trim() === "") return undefined;
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const step = value["step"];
  if (typeof step !== "number" || typeof value["lr"] !== "number") return undefined;
  const figures: { step: number } & { [metric in RunMetric]?: number } = { step };
  for (const metric of runMetrics) {
    const figure = value[metric];
    if (typeof figure === "number" && Number.isFinite(figure)) figures[metric] = figure;
  }
  return { sae: typeof value["sae"] === "string" ? value["sae"] : "", figures };
}

function emptyColumns(): Columns {
  return { steps: [], values: mapMetrics(() => []) };
}

function mapMetrics<T>(make: (metric: RunMetric) => T): { [metric in RunMetric]: T } {
  return Object.fromEntries(runMetrics.map((metric) => [metric, make(metric)])) as {
    [metric in RunMetric]: T;
  };
}

/** Mean of the figures that are there, with the six digits that a chart can use; null where there are none. */
function meanOf(values: readonly number[], from: number, to: number): number | null {
  let [sum, count] = [0, 0];
  for (let at = from; at < to; at++) {
    const value = values[at] as number;
    if (Number.isNaN(value)) continue;
    sum += value;
    count++;
  }
  return count === 0 ? null : Number((sum / count).toPrecision(6));
}

/** The first index whose step is at least `step`. */
function lowerBound(steps: readonly number[], step: number): number {
  let [low, high] = [0, steps.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((steps[middle] as number) < step) low = middle + 1;
    else high = middle;
  }
  return low;
}
