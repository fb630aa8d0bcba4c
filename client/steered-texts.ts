/** Original and steered text as two read-only documents side by side in a diff editor. */
import * as vscode from "vscode";
import type { SteeredText, SteeringView } from "../server/protocol/page-causes.ts";

const scheme = "latent-workbench-steered";

/** The texts of the comparisons of this window. */
export class SteeredTexts implements vscode.Disposable, vscode.TextDocumentContentProvider {
  readonly #texts = new Map<string, string>();
  readonly #subscription: vscode.Disposable;
  #count = 0;

  constructor() {
    this.#subscription = vscode.workspace.registerTextDocumentContentProvider(scheme, this);
  }

  /** Opens a comparison of its own, so that an earlier one stays. */
  async show(found: SteeringView): Promise<void> {
    const number = ++this.#count;
    const place = (side: string): vscode.Uri =>
      vscode.Uri.from({ scheme, path: `/${number}/${side}.txt` });
    const [original, steered] = [place("original"), place("steered")];
    this.#texts.set(original.toString(), sideText(found, "original"));
    this.#texts.set(steered.toString(), sideText(found, "steered"));
    const title = `Original ↔ Steered: ${found.steps.join(", ")}`;
    await vscode.commands.executeCommand("vscode.diff", original, steered, title);
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.#texts.get(uri.toString()) ?? "";
  }

  dispose(): void {
    this.#subscription.dispose();
  }
}

/** A side's text, and its figures below, where the diff editor compares them too. */
function sideText(found: SteeringView, name: "original" | "steered"): string {
  const side: SteeredText = found[name];
  const figures = [
    `${found.lm}, ${found.sae} at ${found.hook}`,
    `steered by: ${name === "steered" ? found.steps.join("; ") : "nothing"}`,
    `loss of the text: ${side.loss === null ? "–" : `${side.loss.toFixed(3)} nats a token`}`,
    `next tokens: ${side.next.map((it) => `${JSON.stringify(it.text)} ${(it.probability * 100).toFixed(1)} %`).join(", ")}`,
    ...(name === "steered"
      ? [
          `KL(original ‖ steered) of the next token: ${found.meanDivergence.toFixed(3)} on average over the text, ${found.lastDivergence.toFixed(3)} after it`,
        ]
      : []),
    ...found.problems,
  ];
  // On a line of its own, what is written can be compared without the text before it.
  return `${found.prompt}\n⟶${side.text}\n\n${"─".repeat(40)}\n${figures.join("\n")}\n`;
}
