/**
 * The page "Toy Models": sliders for features and SAE, a button that trains, and results side by side. This file connects
 * it to its host; toy-model.ts is what it knows, the .tsx files draw.
 */
import { render } from "preact";
import type { ToyMethods, ToyPageEvents } from "../../server/protocol/toy.ts";
import { connectEditor } from "../editor-host.ts";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheet beside the script
import "../train/train.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "./toy.css";
import { type Remembered, ToyModel } from "./toy-model.ts";
import { ToyPage } from "./toy-page.tsx";

const root = document.getElementById("page") as HTMLElement;

const host = connectEditor<ToyMethods>((event, params) => {
  if (event === "progress") model.progress(params as ToyPageEvents["progress"]);
});

const model = new ToyModel(host.caller, host.remembered as Partial<Remembered> | undefined, {
  onChange: () => draw(),
  remember: host.remember,
});

function draw(): void {
  render(<ToyPage model={model} state={model.state} />, root);
}

draw();
