/** The meta-SAE explorer. This file connects it to its host; meta-model.ts is what it knows, the .tsx files draw. */
import { render } from "preact";
import type { DecoderTable } from "../decoders/decoder-host.ts";
import { connectEditor, drawOnTheme } from "../editor-host.ts";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheets beside the script
import "uplot/dist/uPlot.min.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "../train/train.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "../decoders/decoders.css";
import { MetaModel } from "./meta-model.ts";
import { MetaPage } from "./meta-page.tsx";

const root = document.getElementById("page") as HTMLElement;
const model = new MetaModel(connectEditor<DecoderTable>().caller, () => draw());

function draw(): void {
  render(<MetaPage model={model} state={model.state} />, root);
}

drawOnTheme(draw);
draw();
void model.start();
