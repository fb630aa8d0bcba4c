/** The comparison page. This file connects it to its host; comparison-model.ts is what it knows, the .tsx files draw. */
import { render } from "preact";
import { connectEditor } from "../editor-host.ts";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheets beside the script
import "../attribution/attribution.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "./comparison.css";
import { ComparisonModel, type ComparisonTable } from "./comparison-model.ts";
import { ComparisonPage } from "./comparison-page.tsx";

const root = document.getElementById("page") as HTMLElement;
const host = connectEditor<ComparisonTable>((event, params) => model.hear(event, params));
const model = new ComparisonModel(host.caller, () => draw());

function draw(): void {
  render(<ComparisonPage model={model} />, root);
}

draw();
void model.start();
