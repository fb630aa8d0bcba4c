/** The course of the loss, on a logarithmic scale: it falls over orders of magnitude. */
import type { JSX } from "preact";
import type { ToyCurve } from "../../server/protocol/toy.ts";
import { figure } from "../text/heat-modes.ts";

const size = { width: 280, height: 56 } as const;
const rows = 8;

/** The curve, or some of its points as a table. */
export function LossCurve(props: { curve: ToyCurve; showsTable: boolean }): JSX.Element {
  const { curve, showsTable } = props;
  const { steps, loss } = curve;
  const [first = 0, last = 0] = [loss[0], loss.at(-1)];
  if (showsTable) return <CurveTable curve={curve} />;
  const logs = loss.map((it) => Math.log10(Math.max(it, 1e-9)));
  const [least, most] = [Math.min(...logs), Math.max(...logs)];
  const end = steps.at(-1) ?? 1;
  const points = logs.map((it, at) => {
    const x = (size.width * (steps[at] ?? 0)) / Math.max(1, end);
    const y = size.height - 2 - ((size.height - 4) * (it - least)) / Math.max(1e-9, most - least);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  return (
    <figure class="curve">
      <figcaption>
        Loss over {end + 1} steps: {figure(first)} to {figure(last)}
      </figcaption>
      <svg
        viewBox={`0 0 ${size.width} ${size.height}`}
        role="img"
        aria-label={`Loss over ${end + 1} steps, from ${figure(first)} to ${figure(last)}, logarithmic`}
        preserveAspectRatio="none"
      >
        <polyline points={points.join(" ")} />
      </svg>
    </figure>
  );
}

function CurveTable({ curve: { steps, loss, l0 } }: { curve: ToyCurve }): JSX.Element {
  const count = Math.min(rows, steps.length);
  const chosen = Array.from({ length: count }, (_, at) =>
    Math.round((at * (steps.length - 1)) / Math.max(1, count - 1)),
  );
  return (
    <table class="figures">
      <caption>Loss and L0 over steps</caption>
      <thead>
        <tr>
          <th scope="col">Step</th>
          <th scope="col">Loss</th>
          <th scope="col">L0</th>
        </tr>
      </thead>
      <tbody>
        {chosen.map((at) => (
          <tr key={at}>
            <th scope="row">{(steps[at] ?? 0) + 1}</th>
            <td>{figure(loss[at] ?? 0)}</td>
            <td>{figure(l0[at] ?? 0)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
