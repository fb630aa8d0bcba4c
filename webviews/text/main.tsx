/**
 * The text page: a document as a strip of tokens with heat, and a card for the selected token. This file connects
 * it to its host; text-model.ts is what it knows, the .tsx files draw. It gets data by message only and stores
 * nothing but which view was open.
 */
import { render } from "preact";
import type { PageEvents } from "../../server/protocol/page.ts";
import { TextPage } from "./text-page.tsx";
import { connectEditor } from "../editor-host.ts";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheet beside the script
import "./text.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "./pins.css";
import { type PageTable, type Remembered, TextModel } from "./text-model.ts";

const root = document.getElementById("page") as HTMLElement;

const host = connectEditor<PageTable>((event, params) => {
  if (event === "changed") model.changed();
  if (event === "selection") model.follow(params as PageEvents["selection"]);
});

const model = new TextModel(host.caller, host.remembered as Partial<Remembered> | undefined, {
  onChange: () => draw(),
  remember: host.remember,
});

function draw(): void {
  render(<TextPage model={model} state={model.state} />, root);
}

draw();
void model.start();
