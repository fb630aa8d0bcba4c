/** The page about levels of decomposition. This file connects it to its host; decompositions-model.ts is what it knows. */
import { render } from "preact";
import type { DecoderTable } from "../decoders/decoder-host.ts";
import { connectEditor, drawOnTheme } from "../editor-host.ts";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheets beside the script
import "../train/train.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "../decoders/decoders.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "./decompositions.css";
import { DecompositionsModel } from "./decompositions-model.ts";
import { DecompositionsPage } from "./decompositions-page.tsx";

const root = document.getElementById("page") as HTMLElement;
const model = new DecompositionsModel(connectEditor<DecoderTable>().caller, () => draw());

function draw(): void {
  render(<DecompositionsPage model={model} state={model.state} />, root);
}

drawOnTheme(draw);
draw();
void model.start();
