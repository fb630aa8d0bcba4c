/**
 * The lsp room: LSP in, LSP out. Handlers convert and pass on; what they answer is the workbench's. It is useful
 * to any editor: hover, inlay hints and code lenses are plain LSP; pages use one request, `latentWorkbench/page`.
 */
import {
  type CancellationToken,
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
import { Workbench } from "../workbench/workbench.ts";
import { codeLenses, inlayHints, runLenses } from "./annotations.ts";
import { dispatch } from "./dispatch.ts";
import { hoverMarkdown } from "./hover-markdown.ts";
import { plain } from "./markdown.ts";

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
  const log = (level: "debug" | "info" | "warn" | "error", text: string): void => {
    if (level === "error") connection.console.error(text);
    else if (level === "warn") connection.console.warn(text);
    else connection.console.log(text);
  };
  const onBug = (text: string): void => log("error", text);
  const ready = (): Workbench => {
    if (!workbench) throw new ResponseError(-32002, "not initialised");
    return workbench;
  };

  connection.onInitialize((params): InitializeResult => {
    features = featuresOf(params);
    const { trusted } = (params.initializationOptions ?? {}) as { trusted?: boolean };
    workbench = new Workbench({
      ...surroundings,
      settings: settingsOf(params.initializationOptions, surroundings, connection),
      workspaceFolders: foldersOf(params),
      trusted: trusted !== false,
      onChanged: (changed) => announce(connection, ready(), changed, features),
      onReaderExit: ({ reason, expected }) => {
        log(expected ? "info" : "error", reason);
        if (!expected)
          void connection.sendNotification(ShowMessageNotification.type, {
            type: MessageType.Warning,
            message: `Latent Workbench: ${reason}; it starts again with the next hover or edit.`,
          });
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
        codeLensProvider: { resolveProvider: false },
      },
    };
  });

  connection.onInitialized(async () => {
    // The reader needs a second to start; the first hover should not wait for it.
    if (!features.pullSettings)
      ready()
        .reader.call("info", {})
        .catch(() => undefined);
    // Editors other than ours keep their settings until asked.
    if (!features.pullSettings) return;
    const section: unknown = await connection.workspace.getConfiguration("latentWorkbench");
    const settings = { latentWorkbench: section };
    if (section) ready().changeSettings(settingsOf(settings, surroundings, connection));
  });
  documents.onDidChangeContent(({ document }) => {
    guarded(() => ready().update(document.uri, document.version, document.getText()), log);
  });
  documents.onDidClose(({ document }) => ready().close(document.uri));
  connection.onDidChangeConfiguration(({ settings }) =>
    ready().changeSettings(settingsOf(settings, surroundings, connection)),
  );
  connection.onDidChangeWatchedFiles(() => {
    ready().reloadLatentsFile();
    ready().readAgain();
  });
  connection.onShutdown(() => workbench?.dispose());
  connection.onExit(() => workbench?.dispose());

  connection.onHover(({ textDocument, position }, token) =>
    dispatch(
      token,
      (signal) =>
        hover(ready(), documents.get(textDocument.uri), position, {
          links: features.commands,
          signal,
        }),
      onBug,
    ),
  );
  connection.languages.inlayHint.on(({ textDocument, range }, token) =>
    dispatch(token, () => inlayHints(ready(), textDocument.uri, range), onBug),
  );
  connection.onCodeLens(({ textDocument }, token) =>
    dispatch(
      token,
      async () => [
        ...codeLenses(ready(), textDocument.uri),
        ...(await runLenses(ready(), textDocument.uri)),
      ],
      onBug,
    ),
  );
  connection.onRequest(
    "latentWorkbench/page",
    (params: PageRequest | null, token: CancellationToken) =>
      dispatch(
        token,
        (signal) => page(ready(), connection, params ?? ({} as PageRequest), signal),
        onBug,
      ),
  );

  documents.listen(connection);
  connection.listen();
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
    if (!(error instanceof UserError)) throw error;
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
  if (features.refreshLenses) void connection.sendRequest(CodeLensRefreshRequest.type);
  if (features.refreshHints && workbench.settings.inlayHints)
    void connection.languages.inlayHint.refresh();
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
    void connection.sendNotification(ShowMessageNotification.type, {
      type: MessageType.Error,
      message: `Latent Workbench: ${error.message}`,
    });
    return readSettings({}, defaultCacheFolder);
  }
}

function guarded(work: () => void, log: (level: "error", text: string) => void): void {
  try {
    work();
  } catch (error) {
    log("error", error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
}
