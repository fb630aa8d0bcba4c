/** One chart: a metric of every line that is shown, over steps. Dragging over it looks at a part of the steps. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { RunCurves } from "../../server/protocol/runs.ts";
import { figure } from "../text/heat-modes.ts";
import { colorOf, dashOf, themeColor, themeName } from "./line-style.ts";
import type { MetricText } from "./metrics.ts";
import type { Line, StepRange } from "./train-model.ts";

/** A line with its curves. */
export interface ChartLine extends Line {
  readonly slot: number;
  readonly curves: RunCurves;
}

interface ChartProps {
  readonly metric: MetricText;
  readonly lines: readonly ChartLine[];
  readonly range: StepRange | undefined;
  readonly onRange: (range: StepRange) => void;
}

const height = 180;

/** The chart with its name and the figures at the pointer, or the last ones. */
export function Chart(props: ChartProps): JSX.Element {
  const { metric, lines } = props;
  const pane = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLSpanElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const style = JSON.stringify([themeName(), lines.map(({ key, slot }) => [key, slot])]);

  useEffect(() => {
    const element = pane.current;
    if (!element) return undefined;
    const made = new uPlot(
      optionsOf(latest, readout, element.clientWidth),
      dataOf(latest.current),
      element,
    );
    plot.current = made;
    const resized = new ResizeObserver(() => {
      if (element.clientWidth > 0) made.setSize({ width: element.clientWidth, height });
    });
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [style]);
  // The pointer's figures are written here without drawing anything anew, so the last ones are, too.
  useEffect(() => {
    const idx = plot.current?.cursor.idx;
    if (readout.current && typeof idx !== "number") readout.current.textContent = lastText(props);
  });
  useEffect(() => plot.current?.setData(dataOf(props)), [style, ...lines.map((it) => it.curves)]);

  return (
    <figure class="chart" data-metric={metric.metric}>
      <figcaption>
        <span class="chart-name" title={metric.meaning}>
          {metric.name}
        </span>
        <span class="readout" ref={readout} />
      </figcaption>
      <div class="plot" ref={pane} role="img" aria-label={descriptionOf(props)} />
    </figure>
  );
}

function optionsOf(
  latest: { readonly current: ChartProps },
  readout: { readonly current: HTMLSpanElement | null },
  width: number,
): uPlot.Options {
  const text = themeColor("--vscode-descriptionForeground", "--vscode-foreground");
  const grid = themeColor("--vscode-widget-border", "--vscode-panel-border");
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const axis = {
    stroke: text,
    font,
    grid: { stroke: grid, width: 0.5 },
    ticks: { stroke: grid, width: 0.5, size: 4 },
  };
  return {
    width: Math.max(120, width),
    height,
    legend: { show: false },
    cursor: { sync: { key: "steps" }, drag: { setScale: false, x: true, y: false } },
    scales: { x: { time: false } },
    axes: [axis, { ...axis, size: 56, values: (_, splits) => splits.map(axisFigure) }],
    series: [
      {},
      ...latest.current.lines.map(({ slot, name }) => ({
        label: name,
        stroke: colorOf(slot),
        dash: dashOf(slot),
        width: 1.5,
        spanGaps: true,
        points: { show: false },
      })),
    ],
    hooks: {
      setSelect: [
        (plot) => {
          const { left, width: selected } = plot.select;
          if (selected < 4) return;
          const from = Math.max(0, Math.floor(plot.posToVal(left, "x")));
          const to = Math.ceil(plot.posToVal(left + selected, "x"));
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          latest.current.onRange({ from, to });
        },
      ],
      setCursor: [
        (plot) => {
          if (!readout.current) return;
          const { idx } = plot.cursor;
          const at = typeof idx === "number" ? readoutAt(plot, idx) : undefined;
          readout.current.textContent = at ?? lastText(latest.current);
        },
      ],
    },
  };
}

function readoutAt(plot: uPlot, index: number): string | undefined {
  const step = plot.data[0][index];
  if (step === undefined) return undefined;
  const values = plot.data.slice(1).map((column) => {
    const value = column[index];
    return typeof value === "number" ? figure(value) : "–";
  });
  return `step ${step}: ${values.join(", ")}`;
}

function dataOf({ lines, metric }: ChartProps): uPlot.AlignedData {
  const tables = lines.map(
    ({ curves }) =>
      [[...curves.steps], [...curves.values[metric.metric]]] as unknown as uPlot.AlignedData,
  );
  // Without lines there is still a chart with its axes.
  return tables.length === 0 ? [[]] : uPlot.join(tables);
}

/** The newest figure of each line. */
function lastText({ lines, metric }: ChartProps): string {
  return lines.map((line) => lastFigure(line, metric)).join(", ");
}

function lastFigure({ curves }: ChartLine, { metric }: MetricText): string {
  const value = curves.values[metric].findLast((it) => it !== null);
  return value === undefined || value === null ? "–" : figure(value);
}

function descriptionOf(props: ChartProps): string {
  const { metric, lines } = props;
  const parts = lines.map((line) => {
    const values = line.curves.values[metric.metric].filter((it) => it !== null);
    const [first] = values;
    return first === undefined
      ? `${line.name} has no figures yet`
      : `${line.name} from ${figure(first)} to ${lastFigure(line, metric)}`;
  });
  return `${metric.name} over steps: ${parts.join("; ") || "no lines are shown"}`;
}

function axisFigure(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && size < 0.001) return value.toExponential(0);
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
}
