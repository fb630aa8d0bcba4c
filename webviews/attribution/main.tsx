/**
 * The attribution page: which latents a next token hangs on. This file connects it to its host; attribution-model.ts is what it
 * knows, the .tsx files draw.
 */
import { render } from "preact";
import type { AttributeNext, AttributionEvents } from "../../server/protocol/page-causes.ts";
import { Caller } from "../../server/protocol/rpc.ts";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheet beside the script
import "./attribution.css";
import { AttributionModel, type AttributionTable, type Remembered } from "./attribution-model.ts";
import { AttributionPage } from "./attribution-page.tsx";

declare function acquireVsCodeApi(): {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
};

const editor = acquireVsCodeApi();
const root = document.getElementById("page") as HTMLElement;

const host = new Caller<AttributionTable>(
  {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- the editor's own function, not a window's
    post: (message) => editor.postMessage(message),
    onMessage: (listener) =>
      window.addEventListener("message", (message) => listener(message.data)),
  },
  (event, params) => {
    if (event === "ask") void model.ask(params as AttributeNext);
    if (event === "progress") model.progress(params as AttributionEvents["progress"]);
  },
);

const model = new AttributionModel(host, editor.getState() as Remembered | undefined, {
  onChange: () => draw(),
  remember: (remembered) => editor.setState(remembered),
});

function draw(): void {
  render(<AttributionPage model={model} state={model.state} />, root);
}

draw();
void model.start();
