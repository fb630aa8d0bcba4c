/**
 * The client: everything that knows VS Code, and nothing that knows language models. It starts the language server
 * when a text to read appears or a command asks for it, draws the status bar and the heat, hosts the pages and
 * puts the server's choices before the user. Start reading at `activate`; what the server can be asked is in
 * server/protocol/page.ts.
 */
import * as vscode from "vscode";
import { AttributionPage } from "./attribution-page.ts";
import { ComparisonPage } from "./comparison-page.ts";
import { registerCommands } from "./commands.ts";
import { isRunFile, mayBeAnalysed } from "./documents.ts";
import { ExplorerPage } from "./explorer-page.ts";
import {
  absorptionPage,
  decompositionPage,
  DecoderPage,
  metaPage,
  stitchingPage,
  sweepPage,
} from "./decoder-page.ts";
import { FileSwitches } from "./file-switches.ts";
import { HeatDecorations } from "./heat-decorations.ts";
import { showLatentsView } from "./latents-view.ts";
import { showPins } from "./pins.ts";
import { Runs } from "./runs.ts";
import { RunsProgress } from "./runs-progress.ts";
import { showRunsView } from "./runs-view.ts";
import { Reports } from "./reports.ts";
import { followSelections } from "./selections.ts";
import { ServerConnection } from "./server-connection.ts";
import { showStatusBar } from "./status-bar.ts";
import { SteeredTexts } from "./steered-texts.ts";
import { Statuses } from "./statuses.ts";
import { TextPages } from "./text-pages.ts";
import { ToyPage } from "./toy-page.ts";
import { TrainPage } from "./train-page.ts";
import { provideTrainTasks } from "./train-task.ts";

/** What the extension's own tests may ask of it. */
export interface LatentWorkbenchApi {
  /** Resolves when the language server answers. */
  started(): Promise<void>;
  /** What is painted in the visible editors now. */
  heat: HeatDecorations;
}

let server: ServerConnection | undefined;

/** Registers everything at once; the server is started in the background, and only if a text asks for it. */
export function activate(context: vscode.ExtensionContext): LatentWorkbenchApi {
  const log = vscode.window.createOutputChannel("Latent Workbench", { log: true });
  server = new ServerConnection(context, log);
  const statuses = new Statuses(server, log);
  const switches = new FileSwitches(context.workspaceState, server, log);
  const heat = new HeatDecorations(context.workspaceState, server, log);
  const pages = new TextPages(context.extensionUri, server, log);
  const runs = new Runs(server, log);
  const progress = new RunsProgress(runs, server);
  const training = new TrainPage(context.extensionUri, { server, runs, log });
  const explorer = new ExplorerPage(context.extensionUri, { server, runs, log });
  const toys = new ToyPage(context.extensionUri, server, log);
  const decoderParts = { extensionUri: context.extensionUri, server, log };
  const metas = new DecoderPage(metaPage, decoderParts);
  const stitching = new DecoderPage(stitchingPage, decoderParts);
  const absorption = new DecoderPage(absorptionPage, decoderParts);
  const comparisons = new ComparisonPage(
    { name: "comparison", title: "Compare Latents", method: "compareTexts" },
    decoderParts,
  );
  const counterfactuals = new ComparisonPage(
    { name: "counterfactual", title: "Counterfactual Map", method: "counterfactualText" },
    decoderParts,
  );
  const sweeps = new DecoderPage(sweepPage, decoderParts);
  const decompositions = new DecoderPage(decompositionPage, decoderParts);
  const reports = new Reports();
  const attribution = new AttributionPage(context.extensionUri, server, log);
  const steered = new SteeredTexts();
  const parts = {
    context,
    log,
    server,
    statuses,
    switches,
    heat,
    pages,
    reports,
    runs,
    progress,
    training,
    attribution,
    steered,
    explorer,
    toys,
    metas,
    stitching,
    absorption,
    comparisons,
    counterfactuals,
    sweeps,
    decompositions,
  };
  context.subscriptions.push(
    log,
    statuses,
    switches,
    heat,
    pages,
    reports,
    showStatusBar(statuses),
    showPins(server, heat, log),
  );
  context.subscriptions.push(
    ...registerCommands(parts),
    followSelections(server, log),
    startWhenWanted(server, switches, log),
  );
  context.subscriptions.push(attribution, steered, comparisons, counterfactuals);
  context.subscriptions.push(explorer, showLatentsView(server, runs, log));
  context.subscriptions.push(runs, progress, training, toys, showRunsView(runs));
  context.subscriptions.push(metas, stitching, absorption, sweeps, decompositions);
  context.subscriptions.push(provideTrainTasks(runs, server));
  return { started: () => parts.server.start(), heat };
}

/** Ends the server. */
export async function deactivate(): Promise<void> {
  await server?.dispose();
}

/** Starts the server as soon as a visible document is one that it reads. */
function startWhenWanted(
  connection: ServerConnection,
  switches: FileSwitches,
  log: vscode.LogOutputChannel,
): vscode.Disposable {
  const check = (): void => {
    const wanted = vscode.window.visibleTextEditors.some(
      ({ document }) =>
        mayBeAnalysed(document) ||
        isRunFile(document.uri) ||
        switches.get(document.uri.toString()) === true,
    );
    if (!wanted || connection.wanted) return;
    connection.start().catch((error: unknown) => {
      log.error(`the language server did not start: ${String(error)}`);
      void vscode.window.showErrorMessage(
        "Latent Workbench could not start its language server; its log says why.",
      );
    });
  };
  check();
  return vscode.window.onDidChangeVisibleTextEditors(check);
}
