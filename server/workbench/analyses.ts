/**
 * Runs analyses of documents: the hovered context at once, the rest in the background after typing pauses, one
 * at a time for each document. A reading that is under way is shared by everyone who waits for it.
 */
import { isCancelled, UserError } from "../base/errors.ts";
import type { ContextReading, PredictionReading } from "../protocol/reader.ts";
import { type ContextState, type OpenDocument, type PendingReading } from "./documents.ts";
import type { Models, ModelSet } from "./models.ts";
import type { ReaderProcess } from "./reader-process.ts";

/** Quiet time after the last keystroke before a document is read in the background. */
const pauseMs = 120;

export interface AnalysesOptions {
  readonly reader: ReaderProcess;
  readonly models: Models;
  /** Loads what the document asks for. */
  readonly modelsOf: (document: OpenDocument) => Promise<ModelSet>;
  readonly maxContextCharacters: () => number;
  readonly onChanged: (document: OpenDocument) => void;
  readonly onBug: (error: unknown) => void;
}

/** Readings of contexts, by document. */
export class Analyses {
  readonly #options: AnalysesOptions;
  readonly #timers = new Map<OpenDocument, NodeJS.Timeout>();
  readonly #running = new Map<OpenDocument, { version: number }>();

  constructor(options: AnalysesOptions) {
    this.#options = options;
  }

  /** Reads the whole document in the background once typing pauses. */
  schedule(document: OpenDocument, delay: number = pauseMs): void {
    clearTimeout(this.#timers.get(document));
    this.#timers.set(
      document,
      setTimeout(() => {
        this.#timers.delete(document);
        void this.#readAll(document);
      }, delay),
    );
  }

  /** True while a background reading waits or runs. */
  isWorking(document: OpenDocument): boolean {
    return this.#timers.has(document) || this.#running.has(document);
  }

  /** Stops what is going on for a document that closes or is switched off. */
  stop(document: OpenDocument): void {
    clearTimeout(this.#timers.get(document));
    this.#timers.delete(document);
    this.#running.delete(document);
    document.forgetReadings();
  }

  /**
   * The reading of one context by the SAEs of a set whose BOS policy is `prependBos`, for the document's present
   * version. Waits for it; `signal` ends the waiting, not the work.
   */
  async read(
    document: OpenDocument,
    state: ContextState,
    group: { set: ModelSet; prependBos: boolean },
    signal?: AbortSignal,
  ): Promise<ContextReading> {
    const key = group.prependBos ? "bos" : "no-bos";
    const pending = state.readings.get(key) ?? this.#start(document, state, group);
    return withSignal(pending.promise, signal);
  }

  /** Next-token figures of a context; computed once per version when first asked for. */
  predictions(
    document: OpenDocument,
    state: ContextState,
    set: ModelSet,
    signal?: AbortSignal,
  ): Promise<PredictionReading> {
    state.predictions ??= this.#options.reader.call("predictions", {
      stream: document.streamPrefix + state.slot,
      lm: set.lm.id,
      context: state.source,
      prependBos: set.saes.some((sae) => sae.prependBos),
      k: 5,
    });
    state.predictions.catch(() => delete state.predictions);
    return withSignal(state.predictions, signal);
  }

  #start(
    document: OpenDocument,
    state: ContextState,
    { set, prependBos }: { set: ModelSet; prependBos: boolean },
  ): PendingReading {
    const key = prependBos ? "bos" : "no-bos";
    const controller = new AbortController();
    const saes = set.saes.filter((sae) => sae.prependBos === prependBos);
    const promise = this.#call(document, state, { set, saes, signal: controller.signal });
    const pending: PendingReading = { promise, controller };
    state.readings.set(key, pending);
    promise.then(
      (value) => {
        pending.value = value;
        for (const sae of saes) this.#options.models.noteActivations(sae, value);
      },
      () => {
        if (state.readings.get(key) === pending) state.readings.delete(key);
      },
    );
    return pending;
  }

  async #call(
    document: OpenDocument,
    state: ContextState,
    { set, saes, signal }: { set: ModelSet; saes: ModelSet["saes"]; signal: AbortSignal },
  ): Promise<ContextReading> {
    checkLength(state, this.#options.maxContextCharacters());
    return this.#options.reader.call(
      "analyse",
      {
        stream: document.streamPrefix + state.slot,
        lm: set.lm.id,
        saes: saes.map((sae) => sae.id),
        context: state.source,
      },
      signal,
    );
  }

  async #readAll(document: OpenDocument): Promise<void> {
    const run = { version: document.version };
    this.#running.set(document, run);
    const current = (): boolean =>
      this.#running.get(document) === run && document.version === run.version;
    try {
      this.#options.onChanged(document);
      const set = await this.#options.modelsOf(document);
      let failure: string | undefined;
      for (const state of document.contexts) {
        for (const prependBos of bosPoliciesOf(set)) {
          if (!current()) return;
          try {
            await this.read(document, state, { set, prependBos });
          } catch (error) {
            // A context that is too long leaves the others readable.
            if (!(error instanceof UserError) || error.code !== "context-too-long") throw error;
            failure ??= error.message;
          }
        }
      }
      document.failure = failure;
    } catch (error) {
      // What a newer reading is planned for is not this one's to judge, such as a reader that was restarted.
      if (isCancelled(error) || this.#timers.has(document)) return;
      if (!(error instanceof UserError)) this.#options.onBug(error);
      const text = error instanceof Error ? error.message : String(error);
      // A bug's text carries a stack, which is for the log.
      document.failure = error instanceof UserError ? text : (text.split("\n")[0] ?? text);
    } finally {
      if (this.#running.get(document) === run) {
        this.#running.delete(document);
        this.#options.onChanged(document);
      }
    }
  }
}

/** Throws for a context that is too long to be analysed. */
export function checkLength({ source, title }: ContextState, most: number): void {
  const length = source.parts.reduce((sum, part) => sum + part.text.length, 0);
  if (length > most)
    throw new UserError(
      "context-too-long",
      `${title || "this context"} has ${length} characters, more than the ${most} that are analysed; split the file (latentWorkbench.contexts: paragraphs, lines or blocks) or raise latentWorkbench.maxContextCharacters`,
    );
}

/** The BOS policies that occur among a set's SAEs; a set without SAEs has none. */
export function bosPoliciesOf(set: ModelSet): boolean[] {
  return [...new Set(set.saes.map((sae) => sae.prependBos))];
}

/** Rejects with the signal's reason as soon as it fires; the promise goes on for others. */
function withSignal<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return promise;
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    promise.finally(() => signal.removeEventListener("abort", abort)).then(resolve, reject);
  });
}
