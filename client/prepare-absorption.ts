/** Makes a labelled task ready, so that hovers say whether a word's feature fires, was absorbed, or has no latent. */
import * as vscode from "vscode";
import type { PreparedAbsorption } from "../server/protocol/absorption.ts";
import type { ClientParts } from "./client-parts.ts";
import { activeTextEditor } from "./documents.ts";

interface SettingChoice extends vscode.QuickPickItem {
  readonly setting: "prompts" | "text";
  readonly browse?: boolean;
}

const settings: readonly SettingChoice[] = [
  {
    setting: "prompts",
    label: "In the task's prompts",
    detail: "Words of the vocabulary; hovers judge where a text asks as the prompts do",
  },
  {
    setting: "text",
    label: "In running text: the bundled sample",
    detail: "About a thousand tokens; enough to see, too few for rare labels",
  },
  {
    setting: "text",
    browse: true,
    label: "In running text: choose files…",
    detail: "Words wherever they stand; words, not occurrences, are held out",
  },
];

/** Asks for a task and where its words are read, prepares it for the SAEs in use, and says what came out. */
export async function prepareAbsorption({ server, log }: ClientParts): Promise<void> {
  const { tasks } = await server.call("absorptionTasks", {});
  const task = await vscode.window.showQuickPick(
    tasks.map((it) => ({ ...it, label: it.name })),
    { title: "Absorption probe", placeHolder: "Labelled task", matchOnDetail: true },
  );
  if (!task) return;
  const place = await vscode.window.showQuickPick(settings, {
    title: "Absorption probe",
    placeHolder: "Where the words are read",
  });
  if (!place) return;
  const texts = place.browse ? await chooseTexts() : undefined;
  if (place.browse && !texts) return;
  const uri = activeTextEditor()?.document.uri.toString();
  const controller = new AbortController();
  const { prepared } = await vscode.window.withProgress(
    {
      location: vscode.ProgressLocation.Notification,
      title: `Absorption probe: ${task.name}`,
      cancellable: true,
    },
    (progress, cancelled) => {
      cancelled.onCancellationRequested(() => controller.abort());
      let done = 0;
      return server.call(
        "prepareAbsorption",
        {
          labels: task.labels,
          setting: place.setting,
          ...(uri === undefined ? {} : { uri }),
          ...(texts ? { texts } : {}),
        },
        {
          signal: controller.signal,
          onProgress: (message, percentage) => {
            const increment = percentage === undefined ? 0 : Math.max(0, percentage - done);
            done += increment;
            progress.report({ message, increment });
          },
        },
      );
    },
  );
  const text = prepared.map(summary).join(" ");
  log.info(text);
  void vscode.window.showInformationMessage(text);
}

async function chooseTexts(): Promise<string[] | undefined> {
  const files = await vscode.window.showOpenDialog({
    canSelectMany: true,
    title: "Running text for the probe",
    filters: { Text: ["txt", "md"] },
  });
  return files?.map((it) => it.fsPath);
}

function summary({ task, sae, report }: PreparedAbsorption): string {
  const { mean, labels } = report;
  const withLatents = labels.filter((it) => it.probeCounts && it.hasMainLatents).length;
  const percent = (100 * mean.fullRate).toFixed(1);
  return `${task} at ${sae}: the probe knows ${mean.labels} of ${labels.length} labels (F1 ${mean.probeF1.toFixed(2)}), ${withLatents} have latents, ${percent} % of the words are fully absorbed. Hover a word to see its verdict.`;
}
