/**
 * The workbench room: what an editor can ask, in domain words. It holds documents, settings, caches and the
 * reader; it knows no LSP and no ONNX Runtime. Most tests sit at this line. Start reading at `Workbench`.
 */
import { minimatch } from "minimatch";
import { UserError } from "../base/errors.ts";
import { placeOf } from "../files/written-path.ts";
import type { DocumentStatus, TokenCard } from "../protocol/page.ts";
import type { Pin } from "../protocol/pins.ts";
import type { ContextReading, ReaderInfo, SaeInfo } from "../protocol/reader.ts";
import type { LatentsFile, SaeEntry } from "../text/latents-file.ts";
import { Analyses, bosPoliciesOf } from "./analyses.ts";
import { type ContextState, OpenDocument } from "./documents.ts";
import { DecoderFacts } from "./decoder-facts.ts";
import { LatentFacts } from "./latent-facts.ts";
import { Indexes } from "./indexes.ts";
import { LabelStore } from "./label-store.ts";
import { type Choice, Models, type ModelSet } from "./models.ts";
import { withColours } from "./pins.ts";
import { folderOf, patternPath, readLatentsFile } from "./places.ts";
import { contextAt, tokenAt } from "./positions.ts";
import { type ReaderExit, ReaderProcess } from "./reader-process.ts";
import { Runs } from "./runs.ts";
import type { Settings } from "./settings.ts";
import { tokenCard } from "./token-card.ts";
import { type WordReading, wordReading } from "./word-reading.ts";

/** How loud a line of the log is. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "notice";

/** What the workbench stands on; fixed for its life. */
export interface WorkbenchOptions {
  /** The reader's program file. */
  readonly readerProgram: string;
  /** The command line's program, which runs are started with. */
  readonly runProgram: string;
  /** Text that self-checks read. */
  readonly sampleText: string;
  /** Model and SAEs to use when nobody chose any. */
  readonly bundled: Choice;
  readonly settings: Settings;
  readonly workspaceFolders: readonly string[];
  /** In a workspace that the user does not trust, its files name no models. */
  readonly trusted: boolean;
  readonly onChanged: (documents: readonly OpenDocument[]) => void;
  readonly onReaderExit: (exit: ReaderExit) => void;
  /** "notice": a sentence for the user, who would not look into the log. */
  readonly onLog: (level: LogLevel, text: string) => void;
}

/** All that a hover shows. */
export interface HoverContent {
  readonly cards: readonly TokenCard[];
  readonly contextCount: number;
  /** Given when the token is one of several in a word or selection. */
  readonly words: readonly WordReading[];
  readonly range: { startOffset: number; endOffset: number };
  readonly notes: readonly string[];
}

/** Documents, models and analyses of one editor. */
export class Workbench {
  readonly documents: Map<string, OpenDocument> = new Map();
  readonly models: Models;
  readonly facts: LatentFacts;
  readonly decoders: DecoderFacts;
  readonly reader: ReaderProcess;
  readonly analyses: Analyses;
  readonly runs: Runs;
  readonly options: WorkbenchOptions;
  settings: Settings;
  pinned: Pin[] = [];
  readonly labels: LabelStore;
  readonly indexes: Indexes;
  /** With the labels of the labels folder over its own. */
  latentsFile: LatentsFile | undefined;
  /** The labels of `latents.jsonc` itself. */
  ownLabels: LatentsFile["labels"] = {};
  #chosen: { lm?: string; saes?: readonly string[] } = {};
  #disposed = false;
  #readerInfo: ReaderInfo | undefined;

  constructor(options: WorkbenchOptions) {
    this.options = options;
    this.settings = options.settings;
    this.reader = new ReaderProcess({
      program: options.readerProgram,
      settings: () => ({
        device: this.settings.device,
        threads: this.settings.threads,
        memoryBudget: this.settings.memoryBudget,
        cacheFolder: this.settings.cacheFolder,
        sampleText: options.sampleText,
      }),
      onExit: (exit) => this.#readerExited(exit),
      onLog: (text) => options.onLog("info", text),
    });
    this.models = new Models(this.reader, { pickles: options.trusted });
    this.facts = new LatentFacts(this.reader);
    this.decoders = new DecoderFacts(
      this.reader,
      () => options.onChanged([...this.documents.values()]),
      (error) => options.onLog("warn", stackOf(error)),
    );
    this.analyses = new Analyses({
      reader: this.reader,
      models: this.models,
      modelsOf: (document) => this.modelsOf(document),
      maxContextCharacters: () => this.settings.maxContextCharacters,
      onChanged: (document) => options.onChanged([document]),
      onBug: (error) => options.onLog("error", stackOf(error)),
    });
    this.runs = new Runs({
      program: options.runProgram,
      workspaceFolders: options.workspaceFolders,
      runsFolder: () => this.settings.runsFolder,
    });
    this.labels = new LabelStore(options.workspaceFolders);
    this.indexes = new Indexes(() => (options.trusted ? this.runs.roots : []));
    this.reloadLatentsFile();
  }

  /** Takes a new version of a document and reads it in the background if it is one of ours. */
  update(uri: string, version: number, text: string): void {
    const document = this.documents.get(uri) ?? new OpenDocument(uri);
    this.documents.set(uri, document);
    document.update(version, text, this.settings.contexts);
    if (this.isOn(document)) this.analyses.schedule(document, version <= 1 ? 0 : undefined);
  }

  /** Forgets a document. */
  close(uri: string): void {
    const document = this.documents.get(uri);
    if (!document) return;
    this.analyses.stop(document);
    this.documents.delete(uri);
    if (this.reader.pid !== undefined)
      void this.reader
        .call("dropStreams", { prefix: document.streamPrefix })
        .catch(() => undefined);
  }

  /** Whether a document is analysed: the user's word for this file, else front matter or the patterns. */
  isOn(document: OpenDocument): boolean {
    if (document.switchedOn !== undefined) return document.switchedOn;
    if (document.asksToBeRead) return true;
    const path = patternPath(document.uri);
    return this.settings.files.some((pattern) => minimatch(path, pattern, { dot: true }));
  }

  /** Switches one file on or off; undefined leaves it to the patterns. */
  switchFile(uri: string, on: boolean | undefined): void {
    const document = this.documents.get(uri);
    if (!document) return;
    document.switchedOn = on;
    if (this.isOn(document)) this.analyses.schedule(document, 0);
    else this.analyses.stop(document);
    this.options.onChanged([document]);
  }

  /** Uses other settings from now on. */
  changeSettings(settings: Settings): void {
    const before = this.settings;
    this.settings = settings;
    const another = (key: "device" | "threads" | "memoryBudget" | "cacheFolder"): boolean =>
      before[key] !== settings[key];
    if (
      another("device") ||
      another("threads") ||
      another("memoryBudget") ||
      another("cacheFolder")
    )
      this.reader.stop("the settings of the reader changed");
    if (before.contexts !== settings.contexts)
      for (const document of this.documents.values())
        document.update(document.version, document.text, settings.contexts);
    this.readAgain();
  }

  /** Uses this model and these SAEs for all documents without front matter of their own. */
  use(choice: { lm?: string; saes?: readonly string[] }): void {
    this.#chosen = { ...this.#chosen, ...choice };
    this.readAgain();
  }

  /** Reads `latents.jsonc` again after it changed. */
  reloadLatentsFile(): void {
    try {
      const file = readLatentsFile(this.options.workspaceFolders);
      this.pinned = withColours(file?.pinned ?? this.pinned);
      this.ownLabels = file?.labels ?? {};
      this.latentsFile = file;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.options.onLog("notice", `${error.message}; what was in use stays in use`);
    }
    this.reloadLabels();
  }

  /** Reads the labels folder again. */
  reloadLabels(): void {
    for (const problem of this.labels.reload()) this.options.onLog("warn", problem);
    const none: LatentsFile = { saes: [], pinned: [], labels: {}, rules: [] };
    const labels = this.labels.over(this.ownLabels);
    this.latentsFile = { ...(this.latentsFile ?? none), labels };
  }

  /** Drops all readings and starts over, for other models or a new reader. */
  readAgain(): void {
    for (const document of this.documents.values()) {
      document.forgetReadings();
      if (this.isOn(document)) this.analyses.schedule(document, 0);
    }
    this.options.onChanged([...this.documents.values()]);
  }

  /** Which model and SAEs a document uses: its front matter, the pickers, settings, `latents.jsonc`, the demo. */
  choiceFor(document: OpenDocument): Choice {
    const { settings, options } = this;
    const file = options.trusted ? this.latentsFile : undefined;
    const own = options.trusted ? document.choice : {};
    const folders = [...folderOf(document.uri), ...options.workspaceFolders];
    const named = own.lm ?? this.#chosen.lm ?? (settings.lm || undefined);
    const lm = named === undefined ? file?.lm : placeOf(named, folders);
    const saes = own.saes ?? this.#chosen.saes ?? nonEmpty(settings.saes);
    const byName = new Map(
      [...(file?.saes ?? []), ...options.bundled.saes].map((entry) => [entry.name ?? "", entry]),
    );
    const entries: readonly SaeEntry[] | undefined = saes?.map(
      (it) => byName.get(it) ?? { path: placeOf(it, folders) },
    );
    const standard = (list: readonly SaeEntry[]): readonly SaeEntry[] | undefined =>
      nonEmpty(list.filter((it) => !it.optional));
    const fallback = lm === undefined ? standard(options.bundled.saes) : undefined;
    return {
      lm: lm ?? options.bundled.lm,
      saes: entries ?? standard(file?.saes ?? []) ?? fallback ?? [],
    };
  }

  /** Loads what a document asks for; starts self-checks when new SAEs came. */
  async modelsOf(document: OpenDocument): Promise<ModelSet> {
    const set = await this.models.load(this.choiceFor(document));
    if (set.saes.length === 0)
      throw new UserError(
        "no-sae",
        `no SAE is chosen for ${set.lm.id}; use "Latent Workbench: Choose SAEs…" or name one in latents.jsonc`,
      );
    this.#readerInfo ??= await this.reader.call("info", {});
    return set;
  }

  /** The name of the device that the reader uses, once known. */
  get device(): string {
    return this.#readerInfo?.device ?? "";
  }

  /** The document that is open under this uri, or a `UserError`. */
  document(uri: string): OpenDocument {
    const document = this.documents.get(uri);
    if (!document)
      throw new UserError("not-open", `${uri} is not open; open it in the editor first`);
    return document;
  }

  /** The reading of a context by the group of an SAE (by default the first). Waits for the present version. */
  async reading(
    document: OpenDocument,
    index: number,
    saeId: string | undefined,
    signal?: AbortSignal,
  ): Promise<{ state: ContextState; reading: ContextReading; set: ModelSet; sae: SaeInfo }> {
    const set = await this.modelsOf(document);
    const state = document.contexts[index];
    if (!state)
      throw new UserError(
        "no-context",
        `there is no context ${index + 1}: the document has ${document.contexts.length}`,
      );
    const sae = set.saes.find((it) => it.id === saeId) ?? (set.saes[0] as SaeInfo);
    const group = { set, prependBos: sae.prependBos };
    const reading = await this.analyses.read(document, state, group, signal);
    this.#selfCheckLater(set);
    return { state, reading, set, sae };
  }

  /**
   * What a hover at an offset of the present version shows; undefined only where no token is or the file is off.
   */
  async hover(
    uri: string,
    offset: number,
    signal?: AbortSignal,
  ): Promise<HoverContent | undefined> {
    const document = this.documents.get(uri);
    if (!document || !this.isOn(document)) return undefined;
    const context = contextAt(document, offset);
    if (context === undefined) return undefined;
    const set = await this.modelsOf(document);
    const cards: TokenCard[] = [];
    const words: WordReading[] = [];
    let range: HoverContent["range"] | undefined;
    const notes: string[] = [];
    for (const prependBos of bosPoliciesOf(set)) {
      const group = set.saes.filter((it) => it.prependBos === prependBos);
      const { state, reading } = await this.reading(document, context, group[0]?.id, signal);
      const index = tokenAt(state.source, reading.tokens, offset);
      if (index === undefined) continue;
      const place = { version: document.version, context, state, reading, index };
      for (const sae of group) {
        const card = await this.card(place, { set, sae, top: this.settings.hoverLatents }, signal);
        cards.push(card);
        range ??= { startOffset: card.startOffset ?? offset, endOffset: card.endOffset ?? offset };
        const word = wordReading(place, sae, document);
        if (word) words.push(word);
        if (sae.n_ctx !== undefined && card.position >= sae.n_ctx)
          notes.push(
            `position ${card.position} is beyond the ${sae.n_ctx} tokens ${sae.id} was trained on`,
          );
      }
    }
    return range && { cards, words, range, notes, contextCount: document.contexts.length };
  }

  /** The card of one token under one SAE. */
  card(
    place: Parameters<typeof tokenCard>[1],
    choice: Parameters<typeof tokenCard>[2],
    signal?: AbortSignal,
  ): Promise<TokenCard> {
    const { models, facts, decoders, latentsFile, device } = this;
    return tokenCard({ models, facts, decoders, latentsFile, device }, place, choice, signal);
  }

  /** State of a document in one sentence. */
  status(document: OpenDocument): DocumentStatus {
    const set = this.models.ready(this.choiceFor(document));
    const known = {
      uri: document.uri,
      saes: set?.saes.map((it) => it.id) ?? [],
      ...(set ? { lm: set.lm.id, device: this.device } : {}),
    };
    if (!this.isOn(document))
      return {
        ...known,
        state: "off",
        text: "not analysed; switch this file on to see its latents",
      };
    if (this.analyses.isWorking(document))
      return { ...known, state: "working", text: set ? "reading the text" : "loading the model" };
    if (document.failure !== undefined)
      return { ...known, state: "failed", text: document.failure };
    return { ...known, state: "ready", text: "every token is read" };
  }

  /** Ends the reader and starts over. */
  restartReader(reason: string): void {
    this.reader.forgive();
    this.reader.stop(reason);
    this.readAgain();
  }

  /** Ends everything. */
  dispose(): void {
    this.#disposed = true;
    for (const document of this.documents.values()) this.analyses.stop(document);
    this.runs.dispose();
    this.indexes.dispose();
    this.reader.stop("the workbench ends");
  }

  #selfCheckLater(set: ModelSet): void {
    const changed = (): void => this.options.onChanged([...this.documents.values()]);
    const failed = (error: unknown): void =>
      this.options.onLog("warn", `self-check: ${stackOf(error)}`);
    void this.models.checkAll(set, changed, failed);
  }

  #readerExited(exit: ReaderExit): void {
    this.#readerInfo = undefined;
    if (this.#disposed) return;
    for (const document of this.documents.values()) {
      document.forgetReadings();
      // Everything is read again; after a crash not at once, and a reader that keeps dying is not started for ever.
      if (this.isOn(document)) this.analyses.schedule(document, exit.expected ? 0 : 1000);
    }
    this.options.onReaderExit(exit);
  }
}

function nonEmpty<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
