/**
 * The explorer page: a list of latents and the dashboard of one. This file connects it to its host; explorer-model.ts is
 * what it knows, the .tsx files draw. Text of corpora, labels and models is drawn as text.
 */
import { render } from "preact";
import type { ExplorerPageEvents } from "../../server/protocol/explorer.ts";
import { Caller } from "../../server/protocol/rpc.ts";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheet beside the script
import "uplot/dist/uPlot.min.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "./explorer.css";
import { ExplorerModel, type ExplorerTable, type Remembered } from "./explorer-model.ts";
import { ExplorerPage } from "./explorer-page.tsx";

declare function acquireVsCodeApi(): {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
};

const editor = acquireVsCodeApi();
const root = document.getElementById("page") as HTMLElement;

const host = new Caller<ExplorerTable>(
  {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- the editor's own function, not a window's
    post: (message) => editor.postMessage(message),
    onMessage: (listener) =>
      window.addEventListener("message", (message) => listener(message.data)),
  },
  (event, params) => {
    if (event === "changed") model.changed();
    if (event === "select") void model.select(params as ExplorerPageEvents["select"]);
  },
);

const model = new ExplorerModel(host, editor.getState() as Partial<Remembered> | undefined, {
  onChange: () => draw(),
  remember: (remembered) => editor.setState(remembered),
});

function draw(): void {
  render(<ExplorerPage model={model} state={model.state} />, root);
}

// The chart takes its colours from the theme when it is made.
new MutationObserver(draw).observe(document.body, {
  attributes: true,
  attributeFilter: ["class", "data-vscode-theme-id"],
});
draw();
void model.start();
