/** The counterfactual page. This file connects it to its host; counterfactual-model.ts is what it knows, the .tsx files draw. */
import { render } from "preact";
import { connectEditor } from "../editor-host.ts";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheets beside the script
import "../attribution/attribution.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "../comparison/comparison.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "./counterfactual.css";
import { CounterfactualModel, type CounterfactualTable } from "./counterfactual-model.ts";
import { CounterfactualPage } from "./counterfactual-page.tsx";

const root = document.getElementById("page") as HTMLElement;
const host = connectEditor<CounterfactualTable>((event, params) => model.hear(event, params));
const model = new CounterfactualModel(host.caller, () => draw());

function draw(): void {
  render(<CounterfactualPage model={model} />, root);
}

draw();
void model.start();
