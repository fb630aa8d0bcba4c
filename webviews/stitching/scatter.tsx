/** Wide latents by cosine and effect. Dragging a rectangle lists the latents within. */
import type { JSX } from "preact";
import { useMemo, useRef } from "preact/hooks";
import type uPlot from "uplot";
import type { StitchFigures } from "../../server/protocol/decoder-pages.ts";
import { cosineRule } from "../../server/protocol/stitching.ts";
import { Plot, themedAxis } from "../decoders/plot.tsx";
import { figure } from "../text/heat-modes.ts";
import { colorOf, themeColor } from "../train/line-style.ts";
import type { Brush } from "./stitch-model.ts";

/** The chart. */
export function Scatter(props: {
  figures: StitchFigures;
  onBrush: (brush: Brush) => void;
}): JSX.Element {
  const { points, byMse, fired } = props.figures;
  const latest = useRef(props);
  latest.current = props;
  const { data, linear } = useMemo(() => {
    // uPlot wants x in order; latents that lower the error are a series of their own.
    const order = points.cosine
      .map((cosine, at) => ({ cosine, delta: points.delta[at] ?? 0 }))
      .toSorted((a, b) => a.cosine - b.cosine);
    const sizes = order.map(({ delta }) => Math.abs(delta)).toSorted((a, b) => a - b);
    return {
      data: [
        order.map(({ cosine }) => cosine),
        order.map(({ delta }) => (delta < 0 ? delta : null)),
        order.map(({ delta }) => (delta < 0 ? null : delta)),
      ] as uPlot.AlignedData,
      // Effects span many sizes: below the smaller ones the scale is linear, above logarithmic.
      linear: sizes[Math.floor(sizes.length / 10)] || 1e-6,
    };
  }, [points]);
  const novel = byMse.bothNovel + byMse.novelByEffectOnly;
  return (
    <Plot
      name="Cosine against effect"
      description={`of ${fired} latents that fire, ${novel} lower the squared error when inserted; the cosine rule agrees on ${Math.round(byMse.agreement * 100)} %`}
      height={320}
      data={data}
      shape={String(linear)}
      options={() => ({
        legend: { show: false },
        cursor: { drag: { setScale: false, x: true, y: true, uni: 10 } },
        scales: {
          x: { time: false, range: [-0.1, 1.02] },
          // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- an enum of types alone: 4 is its ArcSinh
          y: { distr: 4, asinh: linear },
        },
        axes: [
          themedAxis({ label: "largest cosine with a narrow latent", labelSize: 20 }),
          themedAxis({
            label: "change of the squared error",
            labelSize: 20,
            size: 64,
            ticks: { show: false },
            values: (_, splits) => splits.map((it) => figure(it)),
          }),
        ],
        series: [{}, dots(0), dots(1)],
        hooks: {
          draw: [drawRule],
          setSelect: [
            (plot) => {
              const { left, top, width, height } = plot.select;
              if (width < 4 || height < 4) return;
              const brush: Brush = {
                cosine: [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")],
                delta: [plot.posToVal(top + height, "y"), plot.posToVal(top, "y")],
              };
              latest.current.onBrush(brush);
            },
          ],
        },
      })}
    />
  );
}

function dots(slot: number): uPlot.Series {
  return {
    stroke: colorOf(slot),
    paths: () => null,
    // Novel latents are filled, reconstructions are rings: told apart without colours, too.
    points: {
      show: true,
      size: 4,
      width: 1,
      stroke: colorOf(slot),
      fill: slot === 0 ? colorOf(slot) : "transparent",
    },
  };
}

/** The line of the cosine rule. */
function drawRule(plot: uPlot): void {
  const { ctx, bbox } = plot;
  const x = Math.round(plot.valToPos(cosineRule, "x", true));
  ctx.save();
  ctx.strokeStyle = themeColor("--vscode-descriptionForeground", "--vscode-foreground");
  ctx.setLineDash([4, 4]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}
