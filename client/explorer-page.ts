/**
 * The explorer page: one for the window, with a list of latents and the dashboard of one. It asks the language server by
 * range; commands about latents are run here.
 */
import * as vscode from "vscode";
import type {
  ExplorerHostMethods,
  ExplorerMethods,
  ExplorerPageEvents,
  LatentQuery,
} from "../server/protocol/explorer.ts";
import type { FindMethods } from "../server/protocol/find.ts";
import type { PageMethods } from "../server/protocol/page.ts";
import type { Handlers } from "../server/protocol/rpc.ts";
import { besideEditor, passOn, SinglePage } from "./page-panel.ts";
import { revealRange } from "./reveal.ts";
import type { Runs } from "./runs.ts";
import type { ServerConnection } from "./server-connection.ts";

/** The methods of the language server that the page may call. */
const passedOn = [
  "explorerSaes",
  "latents",
  "latentDashboard",
  "latentContexts",
  "latentPlaces",
  "testLatent",
  "setLabel",
  "foundLatents",
] as const satisfies readonly (keyof ExplorerMethods | keyof FindMethods)[];

type PageTable = Pick<PageMethods, (typeof passedOn)[number]> & ExplorerHostMethods;

/** What the page is to show. */
export interface ExplorerPlace {
  readonly sae: string;
  readonly latent?: number;
  readonly query?: LatentQuery;
}

/** The page, while there is one; also brings it back after a reload of the window. */
export class ExplorerPage implements vscode.Disposable {
  readonly #server: ServerConnection;
  readonly #page: SinglePage<PageTable>;
  readonly #subscriptions: readonly vscode.Disposable[];
  #place: Partial<ExplorerPlace> = {};

  constructor(
    extensionUri: vscode.Uri,
    { server, runs, log }: { server: ServerConnection; runs: Runs; log: vscode.LogOutputChannel },
  ) {
    this.#server = server;
    const handlers = (closed: AbortSignal): Handlers<PageTable> => this.#handlers(closed);
    // What it showed the page remembers itself.
    this.#page = new SinglePage(
      { name: "explorer", title: "Latents", extensionUri, log, handlers },
      () => {},
    );
    const changed = (): void => this.#event("changed", {});
    // A finished run may be an index.
    this.#subscriptions = [server.onChanged(changed), runs.onStateChanged(changed)];
  }

  /** Opens the page, at a latent or a search if one is given, or brings it to the front. */
  open(place: Partial<ExplorerPlace>): void {
    if (place.sae !== undefined) this.#place = place;
    if (!this.#page.reveal()) this.#page.open(besideEditor());
    else if (place.sae !== undefined) this.#event("select", place as ExplorerPlace);
  }

  dispose(): void {
    this.#page.dispose();
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  #event<E extends keyof ExplorerPageEvents>(event: E, params: ExplorerPageEvents[E]): void {
    this.#page.event(event, params);
  }

  #handlers(closed: AbortSignal): Handlers<PageTable> {
    return {
      ...passOn(this.#server, passedOn, closed),
      start: () => this.#place,
      reveal: (range) => revealRange(range, { preserveFocus: false }),
      runCommand: async ({ command, ...latent }) => {
        await vscode.commands.executeCommand(`latentWorkbench.${command}`, latent);
        this.#event("changed", {});
        return null;
      },
    };
  }
}
