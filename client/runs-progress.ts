/** Progress of runs that this window started, with a button that stops them; and what is said when a run ends. */
import * as vscode from "vscode";
import type { RunInfo } from "../server/protocol/runs.ts";
import { figuresText, isActive, progressText } from "../server/protocol/runs-text.ts";
import type { ServerConnection } from "./server-connection.ts";
import type { Runs } from "./runs.ts";

/** Notifications about runs. */
export class RunsProgress implements vscode.Disposable {
  readonly #runs: Runs;
  readonly #server: ServerConnection;
  readonly #shown = new Set<string>();
  readonly #subscription: vscode.Disposable;

  constructor(runs: Runs, server: ServerConnection) {
    this.#runs = runs;
    this.#server = server;
    this.#subscription = runs.onStateChanged(({ run, before }) => {
      const wasActive = before === "running" || before === "stopping";
      if (wasActive && !isActive(run)) void sayEnd(run);
    });
  }

  /** Shows the progress of a run until it ends. */
  follow(folder: string): void {
    if (this.#shown.has(folder)) return;
    this.#shown.add(folder);
    void this.#show(folder).finally(() => this.#shown.delete(folder));
  }

  dispose(): void {
    this.#subscription.dispose();
  }

  async #show(folder: string): Promise<void> {
    const known = this.#runs.find(folder);
    const title = known?.kind === "index" ? known.name : `Training ${known?.name ?? folder}`;
    await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title, cancellable: true },
      (progress, token) =>
        new Promise<void>((resolve) => {
          let shown = 0;
          const update = (): void => {
            const run = this.#runs.find(folder);
            if (!run || !isActive(run)) {
              subscription.dispose();
              resolve();
              return;
            }
            const percent = run.steps ? (100 * run.step) / run.steps : 0;
            progress.report({ message: messageOf(run), increment: percent - shown });
            shown = percent;
          };
          const subscription = this.#runs.onChanged(update);
          token.onCancellationRequested(() => {
            void this.#server.call("stopRun", { folder }).then(() => this.#runs.refresh());
          });
          update();
        }),
    );
  }
}

function messageOf(run: RunInfo): string {
  const fvu = run.saes[0]?.last?.fvu;
  return progressText(run) + (fvu === undefined ? "" : `, FVU ${fvu.toPrecision(3)}`);
}

async function sayEnd(run: RunInfo): Promise<void> {
  const { name, state, text } = run;
  if (state === "finished" && run.kind === "index") {
    const text = `${name} is finished: contexts, neighbours and logits of every latent are at hand`;
    const chosen = await vscode.window.showInformationMessage(text, "Explore Latents");
    if (chosen) await vscode.commands.executeCommand("latentWorkbench.exploreLatents");
  } else if (state === "finished") {
    const [sae] = run.saes;
    const figures = run.saes.length === 1 && sae ? `: ${figuresText(sae)}` : "";
    const actions = ["Use SAE", "Show Training Page"] as const;
    const chosen = await vscode.window.showInformationMessage(
      `${name} is finished${figures}`,
      ...actions,
    );
    if (chosen === "Use SAE")
      await vscode.commands.executeCommand("latentWorkbench.useRunSae", run);
    if (chosen === "Show Training Page")
      await vscode.commands.executeCommand("latentWorkbench.openTrainingPage", run);
  } else if (state === "stopped") {
    const chosen = await vscode.window.showInformationMessage(
      `${name} is stopped ${text}`,
      "Resume",
    );
    if (chosen) await vscode.commands.executeCommand("latentWorkbench.resumeRun", run);
  } else {
    const chosen = await vscode.window.showErrorMessage(`${name} failed: ${text}`, "Show Output");
    if (chosen) await vscode.commands.executeCommand("latentWorkbench.openRunOutput", run);
  }
}
