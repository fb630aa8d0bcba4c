/**
 * The training page: curves of a run, others laid over them, and a table of all runs. This file connects it to its
 * host; train-model.ts is what it knows, the .tsx files draw.
 */
import { render } from "preact";
import type { TrainPageEvents } from "../../server/protocol/runs.ts";
import { connectEditor, drawOnTheme } from "../editor-host.ts";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheet beside the script
import "uplot/dist/uPlot.min.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "./train.css";
import { TrainPage } from "./train-page.tsx";
import { type Remembered, TrainModel, type TrainTable } from "./train-model.ts";

const root = document.getElementById("page") as HTMLElement;

const host = connectEditor<TrainTable>((event, params) => {
  if (event === "changed") model.changed();
  if (event === "select") void model.select((params as TrainPageEvents["select"]).folder);
});

const model = new TrainModel(host.caller, host.remembered as Partial<Remembered> | undefined, {
  onChange: () => draw(),
  remember: host.remember,
});

function draw(): void {
  render(<TrainPage model={model} state={model.state} />, root);
}

// The charts take their colours from the theme when they are made.
drawOnTheme(draw);
draw();
void model.start();
