/** What a sweep's tables show: figures of cells, steps of heat, and the grid of width and L0. */
import type {
  AbsorptionSweep,
  FrequencyBin,
  SweepLabel,
  SweepRow,
} from "../../server/protocol/absorption-sweep.ts";

/** Figures that cells may show. */
export const metrics = {
  meanFraction: "mean absorption fraction",
  fullRate: "fully absorbed",
  partialRate: "absorbed in part",
  mainF1: "F1 of the main latents",
} as const;

/** One of them. */
export type Metric = keyof typeof metrics;

/** Why a label of an SAE has no figure; undefined where it has one. */
export function whyNot(label: SweepLabel | undefined): string | undefined {
  if (!label) return "too few words";
  if (!label.probeCounts) return "the probe does not know it";
  return label.hasMainLatents ? undefined : "no latent for it";
}

/** The figure of a label; undefined where the rule would speak of absence. An F1 is shown all the same. */
export function figureOf(label: SweepLabel | undefined, metric: Metric): number | undefined {
  if (!label) return undefined;
  if (metric === "mainF1") return label.mainF1;
  return whyNot(label) === undefined ? label[metric] : undefined;
}

/** Labels of all rows, in the order of the first row that has them. */
export function labelsOf({ rows }: AbsorptionSweep): string[] {
  return [...new Set(rows.flatMap((row) => row.labels.map((it) => it.label)))].toSorted((a, b) =>
    a.localeCompare(b),
  );
}

/** An SAE's mean over labels that count, as SAEBench has it. */
export function meanOf({ mean }: SweepRow, metric: Metric): number {
  return metric === "meanFraction" ? mean.fraction : mean[metric];
}

/** Lower ends of the five steps of heat above none. */
const steps = [0.005, 0.1, 0.25, 0.5, 0.75] as const;

/** The style of a cell with a figure from 0 to 1. */
export function heatOf(value: number | undefined): string {
  const step = value === undefined ? 0 : steps.findLastIndex((from) => value >= from) + 1;
  return step === 0 ? "" : `heat${step}`;
}

/** What the steps stand for. */
export const heatLegend: readonly { readonly style: string; readonly text: string }[] = steps.map(
  (from, at) => ({
    style: `heat${at + 1}`,
    text: at === 0 ? "above 0" : `from ${Math.round(100 * from)} %`,
  }),
);

/** SAEs by width and by L0 to the next power of two. */
export interface Grid {
  readonly widths: readonly number[];
  /** Lower ends. */
  readonly l0s: readonly number[];
  /** `[widths][l0s]` */
  readonly cells: readonly (readonly (readonly SweepRow[])[])[];
}

/** The grid, if some width was measured at several L0 and some L0 at several widths. */
export function gridOf({ rows }: AbsorptionSweep): Grid | undefined {
  const widths = [...new Set(rows.map((it) => it.d_sae))].toSorted((a, b) => a - b);
  const l0s = [...new Set(rows.map((row) => l0Of(row)))].toSorted((a, b) => a - b);
  const cells = widths.map((width) =>
    l0s.map((l0) => rows.filter((row) => row.d_sae === width && l0Of(row) === l0)),
  );
  const hasRow = cells.some((line) => filled(line) > 1);
  const hasColumn = l0s.some((_, at) => filled(cells.map((line) => line[at]!)) > 1);
  return hasRow && hasColumn ? { widths, l0s, cells } : undefined;
}

/** The power of two that an SAE's L0 is not below. */
function l0Of({ l0 }: SweepRow): number {
  return 2 ** Math.floor(Math.log2(Math.max(l0, 1)));
}

function filled(list: readonly (readonly SweepRow[])[]): number {
  return list.filter((it) => it.length > 0).length;
}

/** Bins of word frequency that some row has. */
export function binsOf({ rows }: AbsorptionSweep): Pick<FrequencyBin, "from" | "below">[] {
  const found = new Map(
    rows.flatMap((row) => row.frequency.map((it) => [binKey(it), it] as const)),
  );
  return [...found.values()]
    .toSorted((a, b) => (a.below ?? Infinity) - (b.below ?? Infinity))
    .map(({ from, below }) => ({ from, below }));
}

/** An SAE's words of a bin. */
export function binOf(
  { frequency }: SweepRow,
  bin: Pick<FrequencyBin, "from" | "below">,
): FrequencyBin | undefined {
  return frequency.find((it) => binKey(it) === binKey(bin));
}

/** A bin for people. */
export function binText({ from, below }: Pick<FrequencyBin, "from" | "below">): string {
  if (below === 0) return "never";
  if (below === null) return `${from} and more`;
  return from === 0 ? `below ${below}` : `${from} to ${below}`;
}

/** How an SAE was trained. */
export function trainingText({ architecture, trainedWith }: SweepRow): string {
  return [architecture, ...trainedWith].join(", ");
}

/** A share in whole per cent. */
export function wholePercent(share: number): string {
  return `${Math.round(100 * share)}`;
}

function binKey({ from, below }: Pick<FrequencyBin, "from" | "below">): string {
  return `${from} ${below ?? ""}`;
}
