import type { JSX } from "preact";
import { figure } from "../text/heat-modes.ts";
import type { ChartLine } from "./chart.tsx";
import type { MetricText } from "./metrics.ts";

/** Rows of a table: enough to see a course, few enough to be read aloud. */
const rows = 12;

/** A chart as a table: figures of every line at some of the steps. */
export function ChartTable(props: {
  metric: MetricText;
  lines: readonly ChartLine[];
}): JSX.Element {
  const { metric, lines } = props;
  const steps = [...new Set(lines.flatMap(({ curves }) => curves.steps))].toSorted((a, b) => a - b);
  const count = Math.min(rows, steps.length);
  const chosen = Array.from(
    { length: count },
    (_, at) => steps[Math.round((at * (steps.length - 1)) / Math.max(1, count - 1))] as number,
  );
  return (
    <table class="figures" data-metric={metric.metric}>
      <caption>
        {metric.name}. {metric.meaning}
      </caption>
      <thead>
        <tr>
          <th scope="col">Step</th>
          {lines.map(({ key, name }) => (
            <th scope="col" key={key}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {chosen.map((step) => (
          <tr key={step}>
            <th scope="row">{step}</th>
            {lines.map((line) => (
              <td key={line.key}>{valueAt(line, metric, step)}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The figure of the last point up to a step. */
function valueAt({ curves }: ChartLine, { metric }: MetricText, step: number): string {
  const at = curves.steps.findLastIndex((it) => it <= step);
  const value = at < 0 ? undefined : curves.values[metric][at];
  return typeof value === "number" ? figure(value) : "–";
}
