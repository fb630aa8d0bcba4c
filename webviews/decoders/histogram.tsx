/** Counts in bins, as bars or as a table. */
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import uPlot from "uplot";
import { colorOf } from "../train/line-style.ts";
import { Plot, themedAxis } from "./plot.tsx";

interface HistogramProps {
  readonly name: string;
  /** Name of each bin, and how many are in it. */
  readonly bins: readonly { readonly name: string; readonly count: number }[];
  readonly slot?: number;
  readonly asTable: boolean;
}

/** The bars, or the same as a table. */
export function Histogram({ name, bins, slot = 0, asTable }: HistogramProps): JSX.Element {
  const data = useMemo<uPlot.AlignedData>(
    () => [bins.map((_, at) => at), bins.map(({ count }) => count)],
    [bins],
  );
  if (asTable)
    return (
      <table class="figures" data-chart={name}>
        <caption>{name}</caption>
        <thead>
          <tr>
            <th scope="col">From – to</th>
            <th scope="col">Count</th>
          </tr>
        </thead>
        <tbody>
          {bins.map((bin) => (
            <tr key={bin.name}>
              <th scope="row">{bin.name}</th>
              <td>{bin.count}</td>
            </tr>
          ))}
        </tbody>
      </table>
    );
  const most = bins.reduce((best, bin) => (bin.count > best.count ? bin : best), {
    name: "",
    count: 0,
  });
  return (
    <Plot
      name={name}
      description={`most, ${most.count}, in ${most.name}`}
      height={150}
      data={data}
      shape={bins.map((bin) => bin.name).join()}
      options={() => ({
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { time: false, range: [-0.6, bins.length - 0.4] },
          y: { range: (_, __, max) => [0, max * 1.05] },
        },
        axes: [
          themedAxis({ values: (_, at) => at.map((it) => bins[it]?.name ?? "") }),
          themedAxis({ size: 48 }),
        ],
        series: [
          {},
          {
            stroke: colorOf(slot),
            fill: colorOf(slot),
            paths: (uPlot.paths.bars as NonNullable<typeof uPlot.paths.bars>)({ size: [0.8] }),
            points: { show: false },
          },
        ],
      })}
    />
  );
}
