/**
 * The training page: curves of a run, others laid over them, and a table of all runs. This file connects it to its
 * host; train-model.ts is what it knows, the .tsx files draw.
 */
import { render } from "preact";
import type { TrainPageEvents } from "../../server/protocol/runs.ts";
import { Caller } from "../../server/protocol/rpc.ts";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheet beside the script
import "uplot/dist/uPlot.min.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "./train.css";
import { TrainPage } from "./train-page.tsx";
import { type Remembered, TrainModel, type TrainTable } from "./train-model.ts";

declare function acquireVsCodeApi(): {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
};

const editor = acquireVsCodeApi();
const root = document.getElementById("page") as HTMLElement;

const host = new Caller<TrainTable>(
  {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- the editor's own function, not a window's
    post: (message) => editor.postMessage(message),
    onMessage: (listener) =>
      window.addEventListener("message", (message) => listener(message.data)),
  },
  (event, params) => {
    if (event === "changed") model.changed();
    if (event === "select") void model.select((params as TrainPageEvents["select"]).folder);
  },
);

const model = new TrainModel(host, editor.getState() as Partial<Remembered> | undefined, {
  onChange: () => draw(),
  remember: (remembered) => editor.setState(remembered),
});

function draw(): void {
  render(<TrainPage model={model} state={model.state} />, root);
}

// The charts take their colours from the theme when they are made.
new MutationObserver(draw).observe(document.body, {
  attributes: true,
  attributeFilter: ["class", "data-vscode-theme-id"],
});
draw();
void model.start();
