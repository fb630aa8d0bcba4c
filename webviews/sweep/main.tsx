/** The page about absorption over SAEs. This file connects it to its host; sweep-model.ts is what it knows, the .tsx files draw. */
import { render } from "preact";
import type { DecoderTable } from "../decoders/decoder-host.ts";
import { connectEditor, drawOnTheme } from "../editor-host.ts";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheets beside the script
import "../train/train.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "../decoders/decoders.css";
// oxlint-disable-next-line import/no-unassigned-import -- as above
import "./sweep.css";
import { SweepModel } from "./sweep-model.ts";
import { SweepPage } from "./sweep-page.tsx";

const root = document.getElementById("page") as HTMLElement;
const model = new SweepModel(connectEditor<DecoderTable>().caller, () => draw());

function draw(): void {
  render(<SweepPage model={model} state={model.state} />, root);
}

drawOnTheme(draw);
draw();
void model.start();
