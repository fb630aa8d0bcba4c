/**
 * The attribution page: which latents a next token hangs on. This file connects it to its host; attribution-model.ts is what it
 * knows, the .tsx files draw.
 */
import { render } from "preact";
import type { AttributeNext, AttributionEvents } from "../../server/protocol/page-causes.ts";
import { connectEditor } from "../editor-host.ts";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheet beside the script
import "./attribution.css";
import { AttributionModel, type AttributionTable, type Remembered } from "./attribution-model.ts";
import { AttributionPage } from "./attribution-page.tsx";

const root = document.getElementById("page") as HTMLElement;

const host = connectEditor<AttributionTable>((event, params) => {
  if (event === "ask") void model.ask(params as AttributeNext);
  if (event === "progress") model.progress(params as AttributionEvents["progress"]);
});

const model = new AttributionModel(host.caller, host.remembered as Remembered | undefined, {
  onChange: () => draw(),
  remember: host.remember,
});

function draw(): void {
  render(<AttributionPage model={model} state={model.state} />, root);
}

draw();
void model.start();
