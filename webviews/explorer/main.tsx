/**
 * The explorer page: a list of latents and the dashboard of one. This file connects it to its host; explorer-model.ts is
 * what it knows, the .tsx files draw. Text of corpora, labels and models is drawn as text.
 */
import { render } from "preact";
import type { ExplorerPageEvents } from "../../server/protocol/explorer.ts";
import { connectEditor, drawOnTheme } from "../editor-host.ts";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheet beside the script
import "uplot/dist/uPlot.min.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "./explorer.css";
import { ExplorerModel, type ExplorerTable, type Remembered } from "./explorer-model.ts";
import { ExplorerPage } from "./explorer-page.tsx";

const root = document.getElementById("page") as HTMLElement;

const host = connectEditor<ExplorerTable>((event, params) => {
  if (event === "changed") model.changed();
  if (event === "select") void model.select(params as ExplorerPageEvents["select"]);
});

const model = new ExplorerModel(host.caller, host.remembered as Partial<Remembered> | undefined, {
  onChange: () => draw(),
  remember: host.remember,
});

function draw(): void {
  render(<ExplorerPage model={model} state={model.state} />, root);
}

// The chart takes its colours from the theme when it is made.
drawOnTheme(draw);
draw();
void model.start();
