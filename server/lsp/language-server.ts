/**
 * The lsp room: LSP in, LSP out. Handlers convert and pass on; what they answer is the workbench's. It is useful
 * to any editor: hover, inlay hints and code lenses are plain LSP; pages use one request, `latentWorkbench/page`.
 */
import {
  type CancellationToken,
  CodeActionKind,
  CodeLensRefreshRequest,
  type Connection,
  type InitializeParams,
  type InitializeResult,
  MessageType,
  ResponseError,
  ShowMessageNotification,
  TextDocuments,
  TextDocumentSyncKind,
  type WorkDoneProgressReporter,
  type WorkDoneProgressServerReporter,
} from "vscode-languageserver/node";
import { TextDocument } from "vscode-languageserver-textdocument";
import { fileURLToPath } from "node:url";
import { UserError } from "../base/errors.ts";
import type { ChangedParams, PageMethods } from "../protocol/page.ts";
import type { OpenDocument } from "../workbench/documents.ts";
import type { Choice } from "../workbench/models.ts";
import { pageHandlers, type PageSurroundings } from "../workbench/pages.ts";
import { readSettings, type Settings } from "../workbench/settings.ts";
import { type LogLevel, Workbench } from "../workbench/workbench.ts";
import { codeLenses, inlayHints, runLenses } from "./annotations.ts";
import { dispatch } from "./dispatch.ts";
import { absorptionActions, runServerCommand, serverCommands } from "./absorption-diagnostics.ts";
import { Problems } from "./diagnostics.ts";
import { hoverMarkdown } from "./hover-markdown.ts";
import { plain } from "./markdown.ts";
import { references } from "./references.ts";

/** What the program around the server knows. */
export interface ServerSurroundings {
  readonly readerProgram: string;
  readonly runProgram: string;
  readonly sampleText: string;
  readonly bundled: Choice;
  readonly defaultCacheFolder: string;
  readonly version: string;
}

/** Serves LSP on a connection until it closes. */
export function serveLanguage(connection: Connection, surroundings: ServerSurroundings): void {
  const documents = new TextDocuments(TextDocument);
  let workbench: Workbench | undefined;
  let features = {
    refreshLenses: false,
    refreshHints: false,
    commands: false,
    pullSettings: false,
  };
  const log = (level: LogLevel, text: string): void => {
    if (level === "notice") show(connection, MessageType.Warning, text);
    else if (level === "error") connection.console.error(text);
    else if (level === "warn") connection.console.warn(text);
    else connection.console.log(text);
  };
  const problems = new Problems((news) => void connection.sendDiagnostics(news));
  const ready = (): Workbench => {
    if (!workbench) throw new ResponseError(-32002, "not initialised");
    return workbench;
  };
  const changeSettings = (options: unknown): void =>
    ready().changeSettings(settingsOf(options, surroundings, connection));
  // Editors other than ours keep their settings until asked. Nothing is read or answered before they came, because
  // files that only the settings switch on would look as if they were off.
  const settings = new Gate();
  const pullSettings = async (): Promise<void> => {
    const section: unknown = await connection.workspace.getConfiguration("latentWorkbench");
    if (section) changeSettings({ latentWorkbench: section });
  };
  const update = (document: TextDocument): void =>
    guarded(() => ready().update(document.uri, document.version, document.getText()), log);

  connection.onInitialize((params): InitializeResult => {
    features = featuresOf(params);
    const { trusted } = (params.initializationOptions ?? {}) as { trusted?: boolean };
    workbench = new Workbench({
      ...surroundings,
      settings: settingsOf(params.initializationOptions, surroundings, connection),
      workspaceFolders: foldersOf(params),
      trusted: trusted !== false,
      onChanged: (changed) => {
        announce(connection, ready(), changed, features);
        problems.update(ready(), changed);
      },
      onReaderExit: ({ reason, expected }) => {
        log(expected ? "info" : "error", reason);
        if (!expected) log("notice", `${reason}; it starts again with the next hover or edit.`);
        announce(connection, ready(), [...ready().documents.values()], features);
      },
      onLog: log,
    });
    return {
      serverInfo: { name: "latent-workbench", version: surroundings.version },
      capabilities: {
        textDocumentSync: { openClose: true, change: TextDocumentSyncKind.Incremental },
        hoverProvider: true,
        inlayHintProvider: true,
        referencesProvider: true,
        codeLensProvider: { resolveProvider: false },
        codeActionProvider: { codeActionKinds: [CodeActionKind.QuickFix] },
        // Our client has commands of its own, with pages behind them.
        ...(features.commands
          ? {}
          : { executeCommandProvider: { commands: Object.values(serverCommands) } }),
      },
    };
  });

  connection.onInitialized(async () => {
    if (features.pullSettings)
      await pullSettings().catch((error: unknown) =>
        log("warn", `the editor did not tell its settings: ${String(error)}`),
      );
    settings.open();
    for (const document of documents.all()) update(document);
    // The reader needs a second to start; the first hover should not wait for it.
    ready()
      .reader.call("info", {})
      .catch(() => undefined);
  });
  documents.onDidChangeContent(({ document }) => {
    if (settings.isOpen) update(document);
  });
  documents.onDidClose(({ document }) => {
    ready().close(document.uri);
    problems.forget(document.uri);
  });
  connection.onDidChangeConfiguration(async ({ settings: sent }) => {
    // Some editors send a bare sign that settings changed.
    const isSign = (sent as { latentWorkbench?: unknown } | null)?.latentWorkbench === undefined;
    if (!isSign) changeSettings(sent);
    else if (features.pullSettings) await pullSettings();
  });
  connection.onDidChangeWatchedFiles(({ changes }) => {
    if (changes.every(({ uri }) => uri.endsWith(".jsonl"))) {
      // Labels are words: no reading depends on them.
      ready().reloadLabels();
      announce(connection, ready(), [...ready().documents.values()], features);
      return;
    }
    ready().reloadLatentsFile();
    ready().readAgain();
  });
  connection.onShutdown(() => workbench?.dispose());
  connection.onExit(() => workbench?.dispose());

  const answer = <T>(
    token: CancellationToken,
    handler: (workbench: Workbench, signal: AbortSignal) => Promise<T> | T,
  ): Promise<T> =>
    dispatch(
      token,
      async (signal) => {
        await settings.opened;
        return handler(ready(), signal);
      },
      (text) => log("error", text),
    );
  connection.onHover(({ textDocument, position }, token) =>
    answer(token, (workbench, signal) => {
      const links = features.commands;
      return hover(workbench, documents.get(textDocument.uri), position, { links, signal });
    }),
  );
  connection.onReferences(({ textDocument, position }, token) =>
    answer(token, (workbench, signal) =>
      references(workbench, documents.get(textDocument.uri), position, signal),
    ),
  );
  connection.onCodeAction(({ textDocument: { uri }, range }, token) =>
    answer(token, (workbench) =>
      absorptionActions(workbench, { uri, range }, { client: features.commands }),
    ),
  );
  connection.onExecuteCommand(({ command, arguments: args = [] }, token) =>
    answer(token, (workbench) => {
      const message = runServerCommand(workbench, command, args);
      if (message !== undefined) show(connection, MessageType.Info, message);
      return null;
    }),
  );
  connection.languages.inlayHint.on(({ textDocument, range }, token) =>
    answer(token, (workbench) => inlayHints(workbench, textDocument.uri, range)),
  );
  connection.onCodeLens(({ textDocument: { uri } }, token) =>
    answer(token, async (workbench) => [
      ...codeLenses(workbench, uri),
      ...(await runLenses(workbench, uri)),
    ]),
  );
  connection.onRequest(
    "latentWorkbench/page",
    (params: PageRequest | null, token: CancellationToken) =>
      answer(token, (workbench, signal) =>
        page(workbench, connection, params ?? ({} as PageRequest), signal),
      ),
  );

  documents.listen(connection);
  connection.listen();
}

/** Lets everyone wait until it is opened, once. */
class Gate {
  isOpen = false;
  readonly opened: Promise<void>;
  #resolve: () => void = () => undefined;

  constructor() {
    this.opened = new Promise((resolve) => (this.#resolve = resolve));
  }

  open(): void {
    this.isOpen = true;
    this.#resolve();
  }
}

interface PageRequest {
  readonly method: keyof PageMethods;
  readonly params: never;
  readonly workDoneToken?: string | number;
}

/** A hover is null only where no token is or the file is off; a user's error is shown in the hover itself. */
async function hover(
  workbench: Workbench,
  document: TextDocument | undefined,
  position: { line: number; character: number },
  { links, signal }: { links: boolean; signal: AbortSignal },
) {
  if (!document) return null;
  const { uri, version } = document;
  try {
    const content = await workbench.hover(uri, document.offsetAt(position), signal);
    if (document.version !== version) throw new DOMException("the document changed", "AbortError");
    if (!content) return null;
    const { startOffset, endOffset } = content.range;
    return {
      contents: { kind: "markdown" as const, value: hoverMarkdown(content, uri, links) },
      range: { start: document.positionAt(startOffset), end: document.positionAt(endOffset) },
    };
  } catch (error) {
    if (!(error instanceof UserError) || error.code === "reader-restarted") throw error;
    return {
      contents: { kind: "markdown" as const, value: `Latent Workbench: ${plain(error.message)}` },
    };
  }
}

async function page(
  workbench: Workbench,
  connection: Connection,
  { method, params, workDoneToken }: PageRequest,
  signal: AbortSignal,
): Promise<unknown> {
  const handlers = pageHandlers(workbench, progressOf(connection, workDoneToken));
  const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
  if (!handler)
    throw new UserError(
      "unknown-method",
      `latentWorkbench/page has no method ${method}; it has ${Object.keys(handlers).join(", ")}`,
    );
  return handler(params, signal);
}

function progressOf(connection: Connection, token?: string | number): PageSurroundings {
  return {
    withProgress: async (title, signal, work) => {
      const progress =
        token === undefined
          ? await connection.window.createWorkDoneProgress()
          : connection.window.attachWorkDoneProgress(token);
      const controller = new AbortController();
      signal.addEventListener("abort", () => controller.abort(), { once: true });
      if (isCancellable(progress)) progress.token.onCancellationRequested(() => controller.abort());
      progress.begin(title, 0, "", true);
      try {
        return await work(
          (text, fraction) =>
            fraction === undefined
              ? progress.report(text)
              : progress.report(Math.round(fraction * 100), text),
          controller.signal,
        );
      } finally {
        progress.done();
      }
    },
  };
}

function isCancellable(
  progress: WorkDoneProgressReporter,
): progress is WorkDoneProgressServerReporter {
  return "token" in progress;
}

/** An editor that refuses, or is just going, asks again when it likes. */
const ignored = (): undefined => undefined;

/** Tells the editor that documents have news, and to ask again for lenses and hints. */
function announce(
  connection: Connection,
  workbench: Workbench,
  changed: readonly OpenDocument[],
  features: { refreshLenses: boolean; refreshHints: boolean },
): void {
  const params: ChangedParams = {
    uris: changed.map((document) => document.uri),
    status: changed.map((document) => workbench.status(document)),
  };
  void connection.sendNotification("latentWorkbench/changed", params);
  if (features.refreshLenses) connection.sendRequest(CodeLensRefreshRequest.type).catch(ignored);
  if (features.refreshHints && workbench.settings.inlayHints)
    connection.languages.inlayHint.refresh().catch(ignored);
}

function featuresOf({ capabilities, initializationOptions }: InitializeParams) {
  const { commandLinks, latentWorkbench } = (initializationOptions ?? {}) as {
    commandLinks?: boolean;
    latentWorkbench?: unknown;
  };
  return {
    pullSettings: capabilities.workspace?.configuration === true && latentWorkbench === undefined,
    refreshLenses: capabilities.workspace?.codeLens?.refreshSupport === true,
    refreshHints: capabilities.workspace?.inlayHint?.refreshSupport === true,
    commands: commandLinks === true,
  };
}

function foldersOf({ workspaceFolders }: InitializeParams): string[] {
  return (workspaceFolders ?? []).flatMap(({ uri }) =>
    uri.startsWith("file:") ? [fileURLToPath(uri)] : [],
  );
}

/** Reads settings; a bad one is reported and all keep their defaults. */
function settingsOf(
  options: unknown,
  { defaultCacheFolder }: ServerSurroundings,
  connection: Connection,
): Settings {
  const section = (options as { latentWorkbench?: unknown } | undefined)?.latentWorkbench;
  try {
    return readSettings(section, defaultCacheFolder);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    show(connection, MessageType.Error, error.message);
    return readSettings({}, defaultCacheFolder);
  }
}

/** A sentence for the user, by a notification: the library's `showWarningMessage` and the like make a request of it. */
function show(connection: Connection, type: MessageType, text: string): void {
  const message = `Latent Workbench: ${text}`;
  void connection.sendNotification(ShowMessageNotification.type, { type, message });
}

function guarded(work: () => void, log: (level: "error", text: string) => void): void {
  try {
    work();
  } catch (error) {
    log("error", error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
}
