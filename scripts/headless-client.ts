/**
 * An LSP client without an editor: starts the built language server over stdio and speaks to it as VS Code would.
 * `npm start`, the LSP tests and the benchmarks use it, so that none of them takes a way past the server.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";
import {
  type CancellationToken,
  createProtocolConnection,
  type Diagnostic,
  type Hover,
  type InitializeResult,
  type Position,
  type ProtocolConnection,
  type PublishDiagnosticsParams,
  type Range,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-languageserver/node";
import type { ChangedParams, DocumentStatus, PageMethods } from "../server/protocol/page.ts";

/** How the server is started. */
export interface HeadlessOptions {
  /** The built server, `dist/main.js`. */
  readonly server: string;
  /** The folder that the editor would have open. */
  readonly workspaceFolder: string;
  /** The `latentWorkbench` section of the editor's settings, nested: `{ hover: { latents: 10 } }`. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** False: the server has to ask for the settings, as most editors want it; otherwise they come with the start. */
  readonly settingsAtStart?: boolean;
  /** The editor answers with its settings only after this. */
  readonly beforeSettings?: Promise<void>;
  /** Sent with the settings, as our own client sends them; an editor without our client would send neither. */
  readonly initializationOptions?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Hears what the server writes to stderr and logs through LSP. */
  readonly onLog?: (text: string) => void;
}

/** One edit, as `textDocument/didChange` carries it; without a range it replaces the whole text. */
export interface TextEdit {
  readonly range?: Range;
  readonly text: string;
}

type Params<K extends keyof PageMethods> = Parameters<PageMethods[K]>[0];
type Result<K extends keyof PageMethods> = ReturnType<PageMethods[K]>;

/** The client's end of one running server. */
export class HeadlessClient {
  readonly process: ChildProcess;
  readonly connection: ProtocolConnection;
  /** What the server said about itself. */
  initialized!: InitializeResult;
  /** Newest diagnostics by uri. */
  readonly diagnostics: Map<string, readonly Diagnostic[]> = new Map();
  /** Newest status by uri. */
  readonly status: Map<string, DocumentStatus> = new Map();
  readonly #versions = new Map<string, number>();
  readonly #listeners = new Set<(params: ChangedParams) => void>();
  #settings: Readonly<Record<string, unknown>>;

  private constructor(process: ChildProcess, options: HeadlessOptions) {
    this.process = process;
    this.#settings = options.settings ?? {};
    const { stdin, stdout, stderr } = process;
    if (!stdin || !stdout || !stderr) throw new Error("the server was started without pipes");
    const log = options.onLog ?? ((): void => {});
    stderr.setEncoding("utf8").on("data", log);
    this.connection = createProtocolConnection(
      new StreamMessageReader(stdout),
      new StreamMessageWriter(stdin),
    );
    this.#answerServer(log, options.beforeSettings);
    this.connection.listen();
  }

  /** Starts the server and completes the handshake. */
  static async start(options: HeadlessOptions): Promise<HeadlessClient> {
    const child = spawn(process.execPath, ["--enable-source-maps", options.server, "--stdio"], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
      cwd: options.workspaceFolder,
    });
    const client = new HeadlessClient(child, options);
    let said = "";
    child.stderr?.on("data", (text: string) => (said += text));
    const gone = once(child, "close").then(([code]) => {
      throw new Error(`the language server ended with exit code ${code} at its start\n${said}`);
    });
    client.initialized = await Promise.race([client.#initialize(options), gone]);
    return client;
  }

  async #initialize(options: HeadlessOptions): Promise<InitializeResult> {
    const uri = pathToFileURL(options.workspaceFolder).href;
    const result = await this.connection.sendRequest<InitializeResult>("initialize", {
      processId: process.pid,
      clientInfo: { name: "headless" },
      rootUri: uri,
      workspaceFolders: [{ uri, name: basename(options.workspaceFolder) }],
      initializationOptions: initializationOptionsOf(options),
      capabilities: {
        workspace: {
          configuration: true,
          workspaceFolders: true,
          inlayHint: { refreshSupport: true },
          codeLens: { refreshSupport: true },
        },
        textDocument: {
          hover: { contentFormat: ["markdown", "plaintext"] },
          synchronization: {},
          publishDiagnostics: {},
        },
        window: { workDoneProgress: true },
        general: { positionEncodings: ["utf-16"] },
      },
    });
    await this.connection.sendNotification("initialized", {});
    return result;
  }

  /** Requests that a server may make of any editor. */
  #answerServer(log: (text: string) => void, beforeSettings?: Promise<void>): void {
    const { connection } = this;
    connection.onRequest(
      "workspace/configuration",
      async ({ items }: { items: readonly { section?: string }[] }) => {
        await beforeSettings;
        return items.map(({ section }) => settingAt(this.#settings, section ?? ""));
      },
    );
    for (const method of [
      "window/workDoneProgress/create",
      "client/registerCapability",
      "client/unregisterCapability",
      "workspace/inlayHint/refresh",
      "workspace/codeLens/refresh",
      "workspace/semanticTokens/refresh",
      "workspace/diagnostic/refresh",
      "window/showMessageRequest",
    ])
      connection.onRequest(method, () => null);
    connection.onNotification("window/logMessage", ({ message }) => log(`${message}\n`));
    connection.onNotification("window/showMessage", ({ message }) => log(`${message}\n`));
    connection.onNotification("$/logTrace", () => {});
    connection.onNotification("telemetry/event", () => {});
    connection.onNotification(
      "textDocument/publishDiagnostics",
      ({ uri, diagnostics }: PublishDiagnosticsParams) => {
        this.diagnostics.set(uri, diagnostics);
      },
    );
    connection.onNotification("latentWorkbench/changed", (params: ChangedParams) => {
      for (const status of params.status) this.status.set(status.uri, status);
      for (const listener of this.#listeners) listener(params);
    });
  }

  /** Opens a file, or the given text under the file's name; returns its uri. */
  async open(path: string, text?: string, languageId = "plaintext"): Promise<string> {
    const uri = pathToFileURL(path).href;
    await this.openUri(uri, text ?? readFileSync(path, "utf8"), languageId);
    return uri;
  }

  /** Opens a text under a URI, such as that of a notebook's cell. */
  async openUri(uri: string, text: string, languageId = "plaintext"): Promise<void> {
    this.#versions.set(uri, 1);
    await this.connection.sendNotification("textDocument/didOpen", {
      textDocument: { uri, languageId, version: 1, text },
    });
  }

  /** Edits an open document; returns its new version. */
  async change(uri: string, edits: readonly TextEdit[]): Promise<number> {
    const version = (this.#versions.get(uri) ?? 1) + 1;
    this.#versions.set(uri, version);
    await this.connection.sendNotification("textDocument/didChange", {
      textDocument: { uri, version },
      contentChanges: edits,
    });
    return version;
  }

  /** Closes an open document. */
  async close(uri: string): Promise<void> {
    this.#versions.delete(uri);
    await this.connection.sendNotification("textDocument/didClose", { textDocument: { uri } });
  }

  /** Gives the server new settings, as an editor does when the user changes them. */
  async configure(settings: Readonly<Record<string, unknown>>): Promise<void> {
    this.#settings = settings;
    await this.connection.sendNotification("workspace/didChangeConfiguration", {
      settings: { latentWorkbench: settings },
    });
  }

  /** Asks for the hover at a place; null where the server has none. */
  hover(uri: string, position: Position, token?: CancellationToken): Promise<Hover | null> {
    const params = { textDocument: { uri }, position };
    return token
      ? this.connection.sendRequest("textDocument/hover", params, token)
      : this.connection.sendRequest("textDocument/hover", params);
  }

  /** Calls a method of the page table. */
  page<K extends keyof PageMethods>(
    method: K,
    params: Params<K>,
    token?: CancellationToken,
  ): Promise<Result<K>> {
    const call = { method, params };
    return token
      ? this.connection.sendRequest("latentWorkbench/page", call, token)
      : this.connection.sendRequest("latentWorkbench/page", call);
  }

  /** Resolves at the server's next word about this document; also after `ms`, if it says nothing. */
  async changed(uri: string, ms = 1000): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, ms);
      const listener = (params: ChangedParams): void => {
        if (params.uris.includes(uri) || params.status.some((it) => it.uri === uri)) done();
      };
      const listeners = this.#listeners;
      listeners.add(listener);
      function done(): void {
        clearTimeout(timer);
        listeners.delete(listener);
        resolve();
      }
    });
  }

  /** Ends the server as an editor does; kills it if it has not gone after five seconds. */
  async stop(): Promise<number | null> {
    if (this.process.exitCode !== null) return this.process.exitCode;
    const exit = once(this.process, "exit");
    const killer = setTimeout(() => this.process.kill("SIGKILL"), 5000);
    await this.connection.sendRequest("shutdown");
    await this.connection.sendNotification("exit");
    const [code] = await exit;
    clearTimeout(killer);
    this.connection.dispose();
    return code as number | null;
  }
}

/** Given settings go along with the start, so that the first document is read by them already. */
function initializationOptionsOf(options: HeadlessOptions): unknown {
  const { settings, settingsAtStart, initializationOptions } = options;
  return settings && settingsAtStart !== false
    ? { latentWorkbench: settings, ...initializationOptions }
    : initializationOptions;
}

/** The settings under a dotted name that begins with `latentWorkbench`; null for other sections. */
function settingAt(settings: Readonly<Record<string, unknown>>, section: string): unknown {
  const [root, ...keys] = section.split(".");
  if (root !== "latentWorkbench") return null;
  return keys.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : null,
    settings,
  );
}
