/**
 * The text page: a document as a strip of tokens with heat, and a card for the selected token. This file connects
 * it to its host; text-model.ts is what it knows, the .tsx files draw. It gets data by message only and stores
 * nothing but which view was open.
 */
import { render } from "preact";
import type { PageEvents } from "../../server/protocol/page.ts";
import { Caller } from "../../server/protocol/rpc.ts";
import { TextPage } from "./text-page.tsx";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheet beside the script
import "./text.css";
import { type PageTable, type Remembered, TextModel } from "./text-model.ts";

declare function acquireVsCodeApi(): {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
};

const editor = acquireVsCodeApi();
const root = document.getElementById("page") as HTMLElement;

const host = new Caller<PageTable>(
  {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- the editor's own function, not a window's
    post: (message) => editor.postMessage(message),
    onMessage: (listener) =>
      window.addEventListener("message", (message) => listener(message.data)),
  },
  (event, params) => {
    if (event === "changed") model.changed();
    if (event === "selection") model.follow(params as PageEvents["selection"]);
  },
);

const model = new TextModel(host, editor.getState() as Partial<Remembered> | undefined, {
  onChange: () => draw(),
  remember: (remembered) => editor.setState(remembered),
});

function draw(): void {
  render(<TextPage model={model} state={model.state} />, root);
}

draw();
void model.start();
