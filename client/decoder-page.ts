/**
 * The pages about decoders (the meta-SAE explorer, stitching, levels of decomposition) and the ones about absorption: one of
 * each for the window.
 * Questions go on to the language server; files and folders are picked here.
 */
import * as vscode from "vscode";
import type { AbsorptionPageMethods } from "../server/protocol/absorption.ts";
import { sweepFile, type SweepMethods } from "../server/protocol/absorption-sweep.ts";
import type { DecoderHostMethods, DecoderPageMethods } from "../server/protocol/decoder-pages.ts";
import type { DecompositionMethods } from "../server/protocol/decompositions.ts";
import type { OccurrenceMethods } from "../server/protocol/occurrences.ts";
import type { Handlers } from "../server/protocol/rpc.ts";
import { rememberChoice } from "./choose-models.ts";
import { activeTextEditor } from "./documents.ts";
import { besideEditor, passOn, SinglePage } from "./page-panel.ts";
import { revealRange } from "./reveal.ts";
import type { ServerConnection } from "./server-connection.ts";

type ServerMethods = DecoderPageMethods &
  AbsorptionPageMethods &
  OccurrenceMethods &
  SweepMethods &
  DecompositionMethods;

/** What tells the pages apart. */
export interface DecoderPageKind {
  /** Of its script and of its view. */
  readonly name: "meta" | "stitching" | "absorption" | "sweep" | "decompositions";
  readonly title: string;
  /** The methods of the server that it may call. */
  readonly passedOn: readonly (keyof ServerMethods)[];
}

/** The meta-SAE explorer. */
export const metaPage: DecoderPageKind = {
  name: "meta",
  title: "Meta-SAE",
  passedOn: [
    "metaPairs",
    "metaOverview",
    "metaSearch",
    "metaBreakdown",
    "metaMemberRows",
    "metaCompare",
  ],
};

/** Stitching. */
export const stitchingPage: DecoderPageKind = {
  name: "stitching",
  title: "Stitch SAEs",
  passedOn: ["stitchCandidates", "stitchMeasure", "stitchProgress", "stitchLatents", "stitchWrite"],
};

/** Absorption. */
export const absorptionPage: DecoderPageKind = {
  name: "absorption",
  title: "Absorption",
  passedOn: [
    "absorptionChoices",
    "measureAbsorption",
    "causalAbsorption",
    "absorptionProgress",
    "occurrences",
    "occurrencesProgress",
    "measuredAs",
  ],
};

/** Absorption of several SAEs. */
export const sweepPage: DecoderPageKind = {
  name: "sweep",
  title: "Compare Absorption",
  passedOn: ["absorptionChoices", "measureAbsorption", "absorptionProgress", "openSweep"],
};

/** Levels of decomposition, and repair. */
export const decompositionPage: DecoderPageKind = {
  name: "decompositions",
  title: "Which decomposition helps?",
  passedOn: ["decompositionChoices", "compareLevels", "tryRepair", "decompositionProgress"],
};

type PageTable = ServerMethods & DecoderHostMethods;

/** A page, while there is one; also brings it back after a reload of the window. */
export class DecoderPage implements vscode.Disposable {
  readonly #kind: DecoderPageKind;
  readonly #server: ServerConnection;
  readonly #log: vscode.LogOutputChannel;
  readonly #page: SinglePage<PageTable>;
  #start: ReturnType<DecoderHostMethods["start"]> = {};

  constructor(
    kind: DecoderPageKind,
    {
      extensionUri,
      server,
      log,
    }: { extensionUri: vscode.Uri; server: ServerConnection; log: vscode.LogOutputChannel },
  ) {
    this.#kind = kind;
    this.#server = server;
    this.#log = log;
    const { name, title } = kind;
    const handlers = (closed: AbortSignal): Handlers<PageTable> => this.#handlers(closed);
    this.#page = new SinglePage({ name, title, extensionUri, log, handlers }, () => {});
  }

  /** Opens the page about the models of the active editor, or brings it to the front; `at`: where to begin. */
  open(at: Omit<ReturnType<DecoderHostMethods["start"]>, "uri"> = {}): void {
    const uri = at.absorbed?.uri ?? activeTextEditor()?.document.uri.toString();
    this.#start = { ...(uri === undefined ? {} : { uri }), ...at };
    if (Object.keys(at).length === 0 && this.#page.reveal()) return;
    this.#page.open(besideEditor());
  }

  dispose(): void {
    this.#page.dispose();
  }

  #handlers(closed: AbortSignal): Handlers<PageTable> {
    return {
      ...passOn(this.#server, this.#kind.passedOn, closed),
      start: () => this.#start,
      reveal: (range) => revealRange(range, { preserveFocus: false }),
      pickTexts: async () => {
        const picked = await vscode.window.showOpenDialog({
          canSelectMany: true,
          canSelectFolders: true,
          title: "Texts to measure on",
          filters: { Texts: ["txt", "md", "jsonl", "gz", "parquet"], "All files": ["*"] },
        });
        return (picked ?? []).map((it) => it.fsPath);
      },
      pickSweep,
      compareDecompositions: async () => {
        await vscode.commands.executeCommand("latentWorkbench.compareDecompositions");
        return null;
      },
      pickFolder: ({ name: suggested }) => pickFolder(suggested),
      useSae: async ({ folder }) => {
        const { saes } = await this.#server.call("stitchUse", { folder });
        await rememberChoice({ log: this.#log }, "saes", saes);
        return null;
      },
    };
  }
}

/** The folder in which `absorption --output` wrote. */
async function pickSweep(): Promise<{ folder?: string }> {
  const picked = await vscode.window.showOpenDialog({
    canSelectFiles: false,
    canSelectFolders: true,
    title: `Folder of a sweep (with ${sweepFile})`,
    openLabel: "Open Sweep",
  });
  return picked?.[0] ? { folder: picked[0].fsPath } : {};
}

/** A folder that is not there yet, in the workspace at first. */
async function pickFolder(name: string): Promise<{ folder?: string }> {
  const root = vscode.workspace.workspaceFolders?.[0]?.uri;
  const picked = await vscode.window.showSaveDialog({
    ...(root ? { defaultUri: vscode.Uri.joinPath(root, name) } : {}),
    title: "Folder of the stitched SAE",
    saveLabel: "Write SAE",
  });
  return picked ? { folder: picked.fsPath } : {};
}
