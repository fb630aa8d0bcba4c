/** The histogram of a latent's activations, with a table for those who do not see it. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { LatentDashboard } from "../../server/protocol/explorer.ts";
import { figure } from "../text/heat-modes.ts";
import { themeColor, themeName } from "../train/line-style.ts";

const height = 140;
/** Rows of the table: neighbouring bins are added. */
const rows = 8;

/** Tokens by activation. */
export function Histogram({
  corpus,
}: {
  corpus: NonNullable<LatentDashboard["corpus"]>;
}): JSX.Element {
  const pane = useRef<HTMLDivElement>(null);
  const { histogram, max } = corpus;
  const key = JSON.stringify([themeName(), histogram, max]);
  useEffect(() => {
    const element = pane.current;
    if (!element) return undefined;
    const width = max / histogram.length;
    const centres = histogram.map((_, bin) => (bin + 0.5) * width);
    const plot = new uPlot(
      optionsOf(element.clientWidth, width),
      [centres, [...histogram]],
      element,
    );
    const resized = new ResizeObserver(() => {
      if (element.clientWidth > 0) plot.setSize({ width: element.clientWidth, height });
    });
    resized.observe(element);
    return () => {
      resized.disconnect();
      plot.destroy();
    };
  }, [key]);
  const per = Math.ceil(histogram.length / rows);
  const step = (max / histogram.length) * per;
  const sums = Array.from({ length: Math.ceil(histogram.length / per) }, (_, row) =>
    histogram.slice(row * per, (row + 1) * per).reduce((sum, it) => sum + it, 0),
  );
  return (
    <figure class="histogram">
      <figcaption>Activations</figcaption>
      <div
        ref={pane}
        role="img"
        aria-label={`Histogram of ${corpus.count} activations up to ${figure(max)}; as a table below`}
      />
      <details>
        <summary>Table</summary>
        <table class="figures">
          <thead>
            <tr>
              <th scope="col">Activation</th>
              <th scope="col">Tokens</th>
            </tr>
          </thead>
          <tbody>
            {sums.map((sum, row) => (
              <tr key={row}>
                <th scope="row">
                  {figure(row * step)} to {figure(Math.min(max, (row + 1) * step))}
                </th>
                <td>{sum}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}

function optionsOf(width: number, binWidth: number): uPlot.Options {
  const text = themeColor("--vscode-descriptionForeground", "--vscode-foreground");
  const grid = themeColor("--vscode-widget-border", "--vscode-panel-border");
  const bar = themeColor("--vscode-latentWorkbench-bar", "--vscode-charts-orange");
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const axis = {
    stroke: text,
    font,
    grid: { stroke: grid, width: 0.5 },
    ticks: { stroke: grid, width: 0.5, size: 4 },
  };
  const bars = uPlot.paths.bars?.({ size: [1, 100], gap: 1 });
  return {
    width: Math.max(160, width),
    height,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: false, range: (_, low, high) => [low - binWidth / 2, high + binWidth / 2] },
      y: { range: (_, __, high) => [0, high * 1.05] },
    },
    axes: [axis, { ...axis, size: 44 }],
    series: [
      {},
      { stroke: bar, fill: bar, points: { show: false }, ...(bars ? { paths: bars } : {}) },
    ],
  };
}
