/** The commands of the palette; each is a few lines, and says itself what went wrong. */
import * as vscode from "vscode";
import { isCancelled, UserError } from "../server/base/errors.ts";
import { attributeNext } from "./attribute-next.ts";
import { chooseLm, chooseSaes } from "./choose-models.ts";
import { asRecord, type ClientParts } from "./client-parts.ts";
import { compareTwoFiles, compareWithHead, openCounterfactual } from "./compare-texts.ts";
import { createLatentsFile } from "./create-latents-file.ts";
import { activeTextEditor } from "./documents.ts";
import { download, setHubToken } from "./download.ts";
import { explainLatent, explainLatents, setExplainKey } from "./explain-latents.ts";
import type { ShownHeat } from "./heat-decorations.ts";
import {
  copyLatentAsPython,
  copyNeuronpediaId,
  exploreLatents,
  exploreSelection,
  exportLabels,
  importLabels,
  indexCorpus,
} from "./explorer-commands.ts";
import { exportLatents } from "./export-latents.ts";
import { getStarted, openDemo } from "./get-started.ts";
import { findLatents } from "./find-latents.ts";
import { absorptionCase } from "./absorption-case.ts";
import { prepareAbsorption } from "./prepare-absorption.ts";
import { managePins } from "./pins.ts";
import { pinLatent, unpinAll, unpinLatent } from "./pin-latent.ts";
import {
  deleteRun,
  openRunOutput,
  openTrainingPage,
  resumeRun,
  revealRun,
  stopRun,
  trainFromFile,
  useRunSae,
} from "./runs-commands.ts";
import { showMenu } from "./show-menu.ts";
import { steer } from "./steer.ts";
import { trainMetaSae, trainSae } from "./train-sae.ts";

type Command = (parts: ClientParts, argument?: unknown) => unknown;

/** Every command by its name after `latentWorkbench.`; a test compares it with package.json. */
export const commands: Readonly<Record<string, Command>> = {
  getStarted: ({ context }) => getStarted(context),
  openDemo: ({ context }) => openDemo(context),
  openTextPage,
  toggleFile,
  chooseLm,
  chooseSaes,
  download,
  setHubToken,
  pinLatent,
  unpinLatent,
  unpinAll,
  managePins,
  attributeNext,
  steer,
  compareWithHead,
  compareTwoFiles,
  openCounterfactual,
  showHeat,
  restartReader: ({ server }) => server.call("restartReader", { reason: "asked for by a command" }),
  showLog: ({ log }) => log.show(),
  doctor,
  createLatentsFile,
  showMenu,
  trainSae,
  trainMetaSae,
  trainFromFile,
  stopRun,
  resumeRun,
  deleteRun,
  revealRun,
  useRunSae,
  openTrainingPage,
  openRunOutput,
  exploreLatents,
  exploreSelection,
  findLatents,
  indexCorpus,
  importLabels,
  exportLabels,
  copyLatentAsPython,
  copyNeuronpediaId,
  exportLatents,
  explainLatent,
  explainLatents,
  setExplainKey,
  openToyPage: ({ toys }) => toys.open(),
  exploreMetaSae: ({ metas }, argument) => {
    const { latent } = asRecord(argument);
    metas.open(typeof latent === "number" ? { latent } : {});
  },
  stitchSaes: ({ stitching }) => stitching.open(),
  openAbsorptionPage: ({ absorption }, argument) => {
    const absorbed = absorptionCase(argument);
    absorption.open(absorbed ? { absorbed } : {});
  },
  compareAbsorption: ({ sweeps }, argument) => {
    // From the explorer's menu: the file of a sweep.
    const file = argument instanceof vscode.Uri ? argument : undefined;
    sweeps.open(file ? { sweep: vscode.Uri.joinPath(file, "..").fsPath } : {});
  },
  compareDecompositions: ({ decompositions }) => decompositions.open(),
  prepareAbsorption,
};

/** Registers them all. */
export function registerCommands(parts: ClientParts): vscode.Disposable[] {
  return Object.entries(commands).map(([name, command]) =>
    vscode.commands.registerCommand(`latentWorkbench.${name}`, async (argument?: unknown) => {
      try {
        return await command(parts, argument);
      } catch (error) {
        await showError(parts.log, error);
        return undefined;
      }
    }),
  );
}

async function showError(log: vscode.LogOutputChannel, error: unknown): Promise<void> {
  if (isCancelled(error)) return;
  const isUsers = error instanceof UserError;
  log.error(error instanceof Error && !isUsers ? error : String(error));
  const text = isUsers ? error.message : "Something went wrong in Latent Workbench.";
  const chosen = await vscode.window.showErrorMessage(text, "Show Log");
  if (chosen) log.show();
}

/** Opens the text page of the argument's document, or of the active editor's, at the cursor. */
async function openTextPage({ pages }: ClientParts, argument?: unknown): Promise<void> {
  const { uri, context, index } = asRecord(argument);
  const at =
    typeof context === "number" && typeof index === "number" ? { context, index } : undefined;
  const named = typeof uri === "string" ? vscode.Uri.parse(uri, true) : undefined;
  const target = named ?? activeTextEditor()?.document.uri;
  if (!target) throw noTextOpen();
  await pages.open(target, at);
}

async function toggleFile({ statuses, switches, server }: ClientParts): Promise<void> {
  const uri = activeTextEditor()?.document.uri.toString();
  if (uri === undefined) throw noTextOpen();
  const { state } = statuses.get(uri) ?? (await server.call("status", { uri }));
  await switches.set(uri, state === "off");
  await statuses.refresh();
}

async function showHeat({ heat, server }: ClientParts, argument?: unknown): Promise<void> {
  const choices: (vscode.QuickPickItem & { shown: ShownHeat })[] = [
    { shown: "off", label: "Off", detail: "No colours in editors" },
    {
      shown: "activation",
      label: "Strongest activation",
      detail: "Each token by its strongest latent",
    },
    { shown: "pinned", label: "Pinned latents", detail: "Each token by the latents you pinned" },
  ];
  const direct = choices.find(({ shown }) => shown === argument);
  const items = choices.map((it) =>
    it.shown === heat.shown ? { ...it, description: "shown now" } : it,
  );
  const placeHolder = "Heat behind the tokens of editors";
  const chosen = direct ?? (await vscode.window.showQuickPick(items, { placeHolder }));
  if (!chosen) return;
  await server.start();
  await heat.show(chosen.shown);
}

async function doctor({ server, reports }: ClientParts): Promise<void> {
  const { text } = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Window, title: "Latent Workbench: looking around" },
    () => server.call("doctor", {}),
  );
  await reports.show("Doctor", text);
}

function noTextOpen(): UserError {
  return new UserError(
    "no-text-open",
    "no text is open in the active editor: open the file to read, then run the command again",
  );
}
