import type * as vscode from "vscode";
import type { AttributionPage } from "./attribution-page.ts";
import type { ComparisonPage } from "./comparison-page.ts";
import type { ExplorerPage } from "./explorer-page.ts";
import type { DecoderPage } from "./decoder-page.ts";
import type { FileSwitches } from "./file-switches.ts";
import type { HeatDecorations } from "./heat-decorations.ts";
import type { Runs } from "./runs.ts";
import type { RunsProgress } from "./runs-progress.ts";
import type { Reports } from "./reports.ts";
import type { ServerConnection } from "./server-connection.ts";
import type { Statuses } from "./statuses.ts";
import type { SteeredTexts } from "./steered-texts.ts";
import type { TextPages } from "./text-pages.ts";
import type { ToyPage } from "./toy-page.ts";
import type { TrainPage } from "./train-page.ts";

/** What commands work with. */
export interface ClientParts {
  readonly context: vscode.ExtensionContext;
  readonly log: vscode.LogOutputChannel;
  readonly server: ServerConnection;
  readonly statuses: Statuses;
  readonly switches: FileSwitches;
  readonly heat: HeatDecorations;
  readonly pages: TextPages;
  readonly reports: Reports;
  readonly runs: Runs;
  readonly progress: RunsProgress;
  readonly training: TrainPage;
  readonly attribution: AttributionPage;
  readonly steered: SteeredTexts;
  readonly comparisons: ComparisonPage<"compareTexts">;
  readonly counterfactuals: ComparisonPage<"counterfactualText">;
  readonly explorer: ExplorerPage;
  readonly toys: ToyPage;
  readonly metas: DecoderPage;
  readonly stitching: DecoderPage;
  readonly absorption: DecoderPage;
  readonly sweeps: DecoderPage;
  readonly decompositions: DecoderPage;
}

/** An argument of a command link as named values; anything else as none. */
export function asRecord(argument: unknown): Record<string, unknown> {
  return typeof argument === "object" && argument !== null
    ? (argument as Record<string, unknown>)
    : {};
}
