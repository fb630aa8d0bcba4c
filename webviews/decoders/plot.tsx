/** A uPlot chart that follows its size and the theme, and says what it shows to those who do not see it. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { themeColor, themeName } from "../train/line-style.ts";

interface PlotProps {
  readonly name: string;
  readonly description: string;
  readonly height: number;
  readonly data: uPlot.AlignedData;
  /** Everything but size; called again when `shape` or the theme changes. */
  readonly options: () => Omit<uPlot.Options, "width" | "height">;
  readonly shape: string;
}

/** The chart under its name. */
export function Plot(props: PlotProps): JSX.Element {
  const { name, description, height, data, shape } = props;
  const pane = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const style = `${themeName()} ${shape}`;
  useEffect(() => {
    const element = pane.current;
    if (!element) return undefined;
    const width = Math.max(120, element.clientWidth);
    const made = new uPlot(
      { ...latest.current.options(), width, height },
      latest.current.data,
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
  }, [style, height]);
  useEffect(() => plot.current?.setData(data), [data, style]);
  return (
    <figure class="chart" data-chart={name}>
      <figcaption>
        <span class="chart-name">{name}</span>
      </figcaption>
      <div class="plot" ref={pane} role="img" aria-label={`${name}: ${description}`} />
    </figure>
  );
}

/** An axis in the theme's colours. */
export function themedAxis(more: uPlot.Axis = {}): uPlot.Axis {
  const grid = themeColor("--vscode-widget-border", "--vscode-panel-border");
  return {
    stroke: themeColor("--vscode-descriptionForeground", "--vscode-foreground"),
    font: `11px ${getComputedStyle(document.body).fontFamily}`,
    grid: { stroke: grid, width: 0.5 },
    ticks: { stroke: grid, width: 0.5, size: 4 },
    ...more,
  };
}
