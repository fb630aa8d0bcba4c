/**
 * The page "Toy Models": sliders for features and SAE, a button that trains, and results side by side. This file connects
 * it to its host; toy-model.ts is what it knows, the .tsx files draw.
 */
import { render } from "preact";
import { Caller } from "../../server/protocol/rpc.ts";
import type { ToyMethods, ToyPageEvents } from "../../server/protocol/toy.ts";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheet beside the script
import "../train/train.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "./toy.css";
import { type Remembered, ToyModel } from "./toy-model.ts";
import { ToyPage } from "./toy-page.tsx";

declare function acquireVsCodeApi(): {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
};

const editor = acquireVsCodeApi();
const root = document.getElementById("page") as HTMLElement;

const host = new Caller<ToyMethods>(
  {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- the editor's own function, not a window's
    post: (message) => editor.postMessage(message),
    onMessage: (listener) =>
      window.addEventListener("message", (message) => listener(message.data)),
  },
  (event, params) => {
    if (event === "progress") model.progress(params as ToyPageEvents["progress"]);
  },
);

const model = new ToyModel(host, editor.getState() as Partial<Remembered> | undefined, {
  onChange: () => draw(),
  remember: (remembered) => editor.setState(remembered),
});

function draw(): void {
  render(<ToyPage model={model} state={model.state} />, root);
}

draw();
