/**
 * The language server as the client sees it: started when first needed, asked by the page methods, restarted when
 * it dies, and told about settings. Hovers, inlay hints and code lenses need no code here: the language client
 * library passes them on.
 */
import * as vscode from "vscode";
import {
  CloseAction,
  ErrorAction,
  LanguageClient,
  type LanguageClientOptions,
  LSPErrorCodes,
  ResponseError,
  State,
  TransportKind,
  WorkDoneProgress,
} from "vscode-languageclient/node";
import { UserError } from "../server/base/errors.ts";
import type { ChangedParams, PageMethods } from "../server/protocol/page.ts";
import { errorOf, type Failure } from "../server/protocol/rpc.ts";
import { documentSelector } from "./documents.ts";
import { RestartPolicy } from "./restart-policy.ts";

type Params<K extends keyof PageMethods> = Parameters<PageMethods[K]>[0];
type Result<K extends keyof PageMethods> = ReturnType<PageMethods[K]>;

/** Options of one call. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Hears of the steps of long work: a sentence and the percentage done, where known. */
  readonly onProgress?: (text: string, percentage?: number) => void;
}

/** Commands that text of the server, such as a hover, may run by a link. */
const linkedCommands = [
  "latentWorkbench.openTextPage",
  "latentWorkbench.pinLatent",
  "latentWorkbench.unpinLatent",
  "latentWorkbench.attributeNext",
  "latentWorkbench.exploreLatents",
];

/** The connection; one for each window. */
export class ServerConnection implements vscode.Disposable {
  readonly #client: LanguageClient;
  readonly #changed = new vscode.EventEmitter<ChangedParams>();
  readonly #running = new vscode.EventEmitter<boolean>();
  readonly #subscriptions: vscode.Disposable[];
  readonly #opened = new vscode.EventEmitter<vscode.TextDocument>();
  #started: Promise<void> | undefined;
  #progressTokens = 0;

  /** Something about documents is new. */
  readonly onChanged = this.#changed.event;
  /** The server began (true) or ceased (false) to answer. */
  readonly onRunning = this.#running.event;
  /** The server was given a document, now or again after a restart. */
  readonly onOpened = this.#opened.event;

  constructor(context: vscode.ExtensionContext, log: vscode.LogOutputChannel) {
    const opened = this.#opened;
    const module = context.asAbsolutePath("dist/main.js");
    const server = { module, transport: TransportKind.ipc };
    this.#client = new QuietClient(
      "latentWorkbench",
      "Latent Workbench",
      { run: server, debug: server },
      clientOptions(context, log, (document) => opened.fire(document)),
    );
    this.#client.onNotification("latentWorkbench/changed", (params: ChangedParams) =>
      this.#changed.fire(params),
    );
    this.#subscriptions = [
      this.#changed,
      this.#running,
      this.#opened,
      this.#client.onDidChangeState(({ newState }) =>
        this.#running.fire(newState === State.Running),
      ),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration("latentWorkbench")) this.#sendSettings();
      }),
      vscode.workspace.onDidGrantWorkspaceTrust(() => void this.#restart()),
    ];
  }

  /** True once the server was asked for. */
  get wanted(): boolean {
    return this.#started !== undefined;
  }

  /** Starts the server unless it runs. */
  start(): Promise<void> {
    this.#started ??= this.#client.start().catch((error: unknown) => {
      this.#started = undefined;
      throw error;
    });
    return this.#started;
  }

  /** Calls a page method; rejects with a `UserError`, an `AbortError` or a plain error. */
  async call<K extends keyof PageMethods>(
    method: K,
    params: Params<K>,
    options: CallOptions = {},
  ): Promise<Result<K>> {
    await this.start();
    const source = new vscode.CancellationTokenSource();
    const cancel = (): void => source.cancel();
    options.signal?.addEventListener("abort", cancel, { once: true });
    if (options.signal?.aborted) cancel();
    const progress = this.#listenToProgress(options.onProgress);
    try {
      const request = { method, params, ...progress?.request };
      return await this.#client.sendRequest<Result<K>>(
        "latentWorkbench/page",
        request,
        source.token,
      );
    } catch (error) {
      throw fromLsp(error);
    } finally {
      options.signal?.removeEventListener("abort", cancel);
      progress?.subscription.dispose();
      source.dispose();
    }
  }

  async dispose(): Promise<void> {
    for (const subscription of this.#subscriptions) subscription.dispose();
    if (this.#client.needsStop()) await this.#client.stop();
  }

  /** Trust decides what the server may load at all; a fresh one has nothing of the restricted time. */
  async #restart(): Promise<void> {
    if (this.#client.isRunning()) await this.#client.restart();
  }

  #listenToProgress(
    onProgress: CallOptions["onProgress"],
  ): { request: { workDoneToken: string }; subscription: vscode.Disposable } | undefined {
    if (!onProgress) return undefined;
    const workDoneToken = `latentWorkbench-${++this.#progressTokens}`;
    const subscription = this.#client.onProgress(WorkDoneProgress.type, workDoneToken, (value) => {
      if (value.kind !== "end") onProgress(value.message ?? "", value.percentage);
    });
    return { request: { workDoneToken }, subscription };
  }

  #sendSettings(): void {
    if (!this.#client.isRunning()) return;
    void this.#client.sendNotification("workspace/didChangeConfiguration", {
      settings: currentSettings(),
    });
  }
}

/**
 * The library shows a message for every request that failed, so one for every hover while something is broken. The
 * log says it, and the status bar warns.
 */
class QuietClient extends LanguageClient {
  override handleFailedRequest<T>(
    ...args: Parameters<typeof LanguageClient.prototype.handleFailedRequest<T>>
  ): T {
    const [type, token, error, defaultValue, , throwOnCancel] = args;
    return super.handleFailedRequest(type, token, error, defaultValue, false, throwOnCancel);
  }
}

/** The settings as the server reads them, and whether the workspace may name models and folders. */
function currentSettings(): { latentWorkbench: unknown; trusted: boolean } {
  // A configuration carries functions; only its plain values cross the process.
  const section: unknown = JSON.parse(
    JSON.stringify(vscode.workspace.getConfiguration("latentWorkbench")),
  );
  return { latentWorkbench: section, trusted: vscode.workspace.isTrusted };
}

function clientOptions(
  context: vscode.ExtensionContext,
  log: vscode.LogOutputChannel,
  onOpened: (document: vscode.TextDocument) => void,
): LanguageClientOptions {
  const restarts = new RestartPolicy();
  return {
    documentSelector,
    outputChannel: log,
    traceOutputChannel: log,
    initializationOptions: () => ({
      ...currentSettings(),
      storageFolder: context.globalStorageUri.fsPath,
      commandLinks: true,
    }),
    // Files that no editor shows, which other extensions open in passing, are not sent.
    textSynchronization: { delayOpenNotifications: true },
    synchronize: {
      fileEvents: vscode.workspace.createFileSystemWatcher("**/{latents.jsonc,labels/*.jsonl}"),
    },
    middleware: {
      didOpen: async (document, next) => {
        await next(document);
        onOpened(document);
      },
    },
    markdown: { isTrusted: { enabledCommands: linkedCommands }, supportHtml: false },
    errorHandler: {
      error: (error) => {
        log.error(`connection to the language server: ${error.message}`);
        return { action: ErrorAction.Continue };
      },
      closed: () => {
        const again = restarts.mayRestart(Date.now());
        void reportEnd(log, again);
        return { action: again ? CloseAction.Restart : CloseAction.DoNotRestart, handled: true };
      },
    },
  };
}

async function reportEnd(log: vscode.LogOutputChannel, restarted: boolean): Promise<void> {
  const text = restarted
    ? "The language server of Latent Workbench ended unexpectedly and was restarted."
    : "The language server of Latent Workbench ended five times within three minutes and stays off until the window is reloaded.";
  log.error(text);
  const actions = restarted ? ["Show Log"] : ["Show Log", "Reload Window"];
  const chosen = await vscode.window.showErrorMessage(text, ...actions);
  if (chosen === "Show Log") log.show();
  if (chosen === "Reload Window")
    void vscode.commands.executeCommand("workbench.action.reloadWindow");
}

/** An LSP failure as the error that it came from. */
function fromLsp(error: unknown): Error {
  if (!(error instanceof ResponseError)) {
    return error instanceof Error ? error : new Error(String(error));
  }
  const cancelledCodes: number[] = [
    LSPErrorCodes.RequestCancelled,
    LSPErrorCodes.ServerCancelled,
    LSPErrorCodes.ContentModified,
  ];
  if (cancelledCodes.includes(error.code)) {
    return errorOf({ kind: "cancelled", code: "cancelled", text: "cancelled" });
  }
  const failure = error.data as Partial<Failure> | undefined;
  if (failure?.kind !== undefined && failure.text !== undefined) return errorOf(failure as Failure);
  return new UserError("server", error.message);
}
