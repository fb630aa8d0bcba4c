/**
 * How pinned latents are painted in an editor: the strongest fills a token in its colour, the others that fire there underline it, and
 * the overview ruler marks the lines of each. Underlines differ by their style, too, so that colour is not all that tells them apart.
 */
import * as vscode from "vscode";
import type { HeatSpan } from "../server/protocol/page.ts";
import { maxPins, type PinMark, pinSteps } from "../server/protocol/pins.ts";
import { pinnedGroups } from "./heat-spans.ts";

const lineStyles = ["solid", "dashed", "dotted", "double"];
/** The ruler has three lanes; the fourth pin's marks lie under those of the others. */
const lanes = [
  vscode.OverviewRulerLane.Left,
  vscode.OverviewRulerLane.Center,
  vscode.OverviewRulerLane.Right,
  vscode.OverviewRulerLane.Full,
];

/** The decoration types of all pins; one set for the window. */
export class PinDecorations implements vscode.Disposable {
  readonly #fills: readonly (readonly vscode.TextEditorDecorationType[])[];
  readonly #lines: readonly vscode.TextEditorDecorationType[];
  readonly #marks: readonly vscode.TextEditorDecorationType[];

  constructor() {
    const colours = Array.from({ length: maxPins }, (_, at) => at + 1);
    this.#fills = colours.map((colour) =>
      Array.from({ length: pinSteps }, (_, step) =>
        vscode.window.createTextEditorDecorationType({
          backgroundColor: new vscode.ThemeColor(`latentWorkbench.pin${colour}Heat${step + 1}`),
          borderRadius: "2px",
          rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
        }),
      ),
    );
    this.#lines = colours.map((colour) =>
      vscode.window.createTextEditorDecorationType({
        borderColor: new vscode.ThemeColor(`latentWorkbench.pin${colour}`),
        borderStyle: lineStyles[colour - 1] ?? "solid",
        // A double line needs three pixels to be two.
        borderWidth: `0 0 ${colour === 4 ? 3 : 2}px 0`,
        rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
      }),
    );
    this.#marks = colours.map((colour) =>
      vscode.window.createTextEditorDecorationType({
        overviewRulerColor: new vscode.ThemeColor(`latentWorkbench.pin${colour}`),
        overviewRulerLane: lanes[colour - 1] ?? vscode.OverviewRulerLane.Full,
      }),
    );
  }

  /** Paints the tokens of an editor; spans without a colour are not these. */
  paint(editor: vscode.TextEditor, spans: readonly HeatSpan[]): void {
    const { fills, lines } = pinnedGroups(spans);
    for (const [colour, steps] of this.#fills.entries())
      for (const [step, type] of steps.entries())
        editor.setDecorations(type, (fills[colour]?.[step] ?? []).map(rangeOf));
    for (const [colour, type] of this.#lines.entries())
      editor.setDecorations(type, (lines[colour] ?? []).map(rangeOf));
  }

  /** Marks lines in the overview ruler. */
  mark(editor: vscode.TextEditor, marks: readonly PinMark[]): void {
    for (const [at, type] of this.#marks.entries()) {
      const own = marks.filter(({ colour }) => colour === at + 1);
      editor.setDecorations(
        type,
        own.map(({ fromLine, toLine }) => new vscode.Range(fromLine, 0, toLine, 0)),
      );
    }
  }

  dispose(): void {
    for (const type of [...this.#fills.flat(), ...this.#lines, ...this.#marks]) type.dispose();
  }
}

/** The range of a span. */
export function rangeOf({
  startLine,
  startCharacter,
  endLine,
  endCharacter,
}: HeatSpan): vscode.Range {
  return new vscode.Range(startLine, startCharacter, endLine, endCharacter);
}
