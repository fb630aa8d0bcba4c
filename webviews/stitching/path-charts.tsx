/** The way from the narrow SAE to the wide one, as charts or as a table. */
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type uPlot from "uplot";
import type { StitchFigures } from "../../server/protocol/decoder-pages.ts";
import type { PathPoint } from "../../server/protocol/stitching.ts";
import { Plot, themedAxis } from "../decoders/plot.tsx";
import { figure } from "../text/heat-modes.ts";
import { colorOf } from "../train/line-style.ts";

const curves = [
  { key: "fvu", name: "FVU along the path" },
  { key: "l0", name: "L0 along the path" },
  { key: "ce", name: "Cross-entropy along the path" },
] as const;

const phases: Readonly<Record<PathPoint["phase"], string>> = {
  start: "narrow SAE",
  insert: "novel latents in",
  swap: "groups swapped",
  rest: "the rest: wide SAE",
};

/** Three charts over the points of the path, or one table. */
export function PathCharts({
  figures,
  asTable,
}: {
  figures: StitchFigures;
  asTable: boolean;
}): JSX.Element {
  if (asTable) return <PathTable figures={figures} />;
  const measured = figures.path.some(({ ce }) => ce !== null);
  return (
    <div class="columns">
      {curves.map((curve, slot) =>
        curve.key === "ce" && !measured ? null : (
          <PathChart key={curve.key} figures={figures} curve={curve} slot={slot} />
        ),
      )}
    </div>
  );
}

function PathChart(props: {
  figures: StitchFigures;
  curve: (typeof curves)[number];
  slot: number;
}): JSX.Element {
  const { figures, curve, slot } = props;
  const { path } = figures;
  const data = useMemo<uPlot.AlignedData>(
    () => [path.map((_, at) => at), path.map((point) => point[curve.key])],
    [path, curve],
  );
  const value = (point: PathPoint | undefined): string => figure(point?.[curve.key] ?? Number.NaN);
  const swap = path.findIndex(({ phase }) => phase === "swap");
  return (
    <Plot
      name={curve.name}
      description={`from ${value(path[0])} of the narrow SAE to ${value(path.at(-1))} of the wide one${swap > 0 ? `, ${value(path[swap - 1])} before groups are swapped` : ""}`}
      height={180}
      data={data}
      shape={`${path.length}`}
      options={() => ({
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: false, range: [-0.3, path.length - 0.7] } },
        axes: [
          themedAxis({
            values: (_, splits) => splits.map((it) => phaseMark(path, it)),
          }),
          themedAxis({ size: 56, values: (_, splits) => splits.map((it) => figure(it)) }),
        ],
        series: [
          {},
          {
            stroke: colorOf(slot),
            width: 1.5,
            points: { show: true, size: 6, fill: colorOf(slot) },
          },
        ],
      })}
    />
  );
}

/** The first point of each phase is named. */
function phaseMark(path: readonly PathPoint[], at: number): string {
  const point = path[at];
  if (!point || path[at - 1]?.phase === point.phase) return "";
  return { start: "narrow", insert: "insert", swap: "swap", rest: "wide" }[point.phase];
}

function PathTable({ figures }: { figures: StitchFigures }): JSX.Element {
  return (
    <table class="path figures">
      <caption>
        From {figures.narrow} to {figures.wide}; cross-entropy of the untouched model{" "}
        {figure(figures.cleanCe ?? Number.NaN)}
      </caption>
      <thead>
        <tr>
          {["Phase", "Wide latents in", "Narrow out", "MSE", "FVU", "L0", "CE"].map((name) => (
            <th scope="col" key={name}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {figures.path.map((point, at) => (
          // oxlint-disable-next-line react/no-array-index-key -- points have no other name
          <tr key={at}>
            <th scope="row">{phases[point.phase]}</th>
            <td>{point.inserted}</td>
            <td>{point.removed}</td>
            {[point.mse, point.fvu, point.l0, point.ce].map((value, column) => (
              // oxlint-disable-next-line react/no-array-index-key -- as above
              <td key={column}>{figure(value ?? Number.NaN)}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
