/** The absorption page. This file connects it to its host; absorption-model.ts is what it knows, the .tsx files draw. */
import { render } from "preact";
import type { DecoderTable } from "../decoders/decoder-host.ts";
import { connectEditor, drawOnTheme } from "../editor-host.ts";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheets beside the script
import "../train/train.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "../decoders/decoders.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "./absorption.css";
import { AbsorptionModel } from "./absorption-model.ts";
import { AbsorptionPage } from "./absorption-page.tsx";

const root = document.getElementById("page") as HTMLElement;
const model = new AbsorptionModel(connectEditor<DecoderTable>().caller, () => draw());

function draw(): void {
  render(<AbsorptionPage model={model} state={model.state} />, root);
}

drawOnTheme(draw);
draw();
void model.start();
