/**
 * What a text page knows and asks for, without drawing: the overview of its document, the blocks of tokens that
 * are in view, the card of the selected token. It asks by range, shows the old answer until a new one has come,
 * and forgets answers to questions that are no longer asked.
 */
import type {
  HeatMode,
  PageHostMethods,
  PageMethods,
  PageToken,
  TextOverview,
  TokenCard,
  TokenPredictions,
} from "../../server/protocol/page.ts";
import { type Caller } from "../../server/protocol/rpc.ts";
import { blockCount, blockSize } from "./strip-window.ts";

/** The table that a page calls. */
export type PageTable = PageMethods & PageHostMethods;

/** Where calls go. */
export type PageHost = Pick<Caller<PageTable>, "call">;

/** What a page remembers over a reload of the window. */
export interface Remembered {
  readonly uri: string;
  readonly context: number;
  readonly mode: HeatMode;
  readonly sae?: string | undefined;
  readonly index?: number | undefined;
  readonly showsPredictions: boolean;
}

/** Everything that is drawn. */
export interface TextState {
  readonly uri: string;
  readonly name: string;
  readonly overview?: TextOverview;
  readonly context: number;
  readonly tokens: number;
  readonly mode: HeatMode;
  readonly sae?: string | undefined;
  readonly selected?: number | undefined;
  readonly blocks: ReadonlyMap<number, readonly PageToken[]>;
  readonly scale?: { min: number; max: number; unit: string };
  readonly card?: TokenCard | undefined;
  readonly showsAllLatents: boolean;
  readonly showsPredictions: boolean;
  readonly predictions?: TokenPredictions | undefined;
  /** What went wrong last, in a sentence. */
  readonly problem?: string | undefined;
}

/** Latents of a card before it is expanded. */
export const fewLatents = 12;
/** Quiet time after a notice before the page asks again; notices come in bursts while someone types. */
const pauseMs = 40;

/** The model; `onChange` is told after every change of `state`. */
export class TextModel {
  readonly #host: PageHost;
  readonly #onChange: () => void;
  readonly #remember: (remembered: Remembered) => void;
  #state: TextState;
  /** Counts what invalidates blocks: a new version, context, SAE or mode. */
  #generation = 0;
  readonly #asked = new Map<number, number>();
  #window = { from: 0, to: 0 };
  #reading = new AbortController();
  #cardReading = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    host: PageHost,
    remembered: Partial<Remembered> | undefined,
    listeners: { onChange: () => void; remember: (remembered: Remembered) => void },
  ) {
    this.#host = host;
    this.#onChange = listeners.onChange;
    this.#remember = listeners.remember;
    this.#state = {
      uri: remembered?.uri ?? "",
      name: "",
      context: remembered?.context ?? 0,
      tokens: 0,
      mode: remembered?.mode ?? "activation",
      sae: remembered?.sae,
      selected: remembered?.index,
      blocks: new Map(),
      showsAllLatents: false,
      showsPredictions: remembered?.showsPredictions ?? false,
    };
  }

  get state(): TextState {
    return this.#state;
  }

  /** Number of tokens of the context that is shown; of its last reading while a new one is under way. */
  get tokens(): number {
    return this.#state.tokens;
  }

  /** Learns the document from the host and reads it. */
  async start(): Promise<void> {
    const { uri, name, selection } = await this.#host.call("start", {});
    this.#set({ uri, name });
    if (selection) this.#set({ context: selection.context, selected: selection.index });
    await this.refresh();
  }

  /** Something is new: asks again, once the burst of notices is over. */
  changed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.refresh(), pauseMs);
  }

  /** Asks for the overview and for everything in view. */
  async refresh(): Promise<void> {
    const overview = await this.#ask((signal) =>
      this.#host.call("overview", { uri: this.#state.uri }, signal),
    );
    if (!overview) return;
    const { sae, selected } = this.#state;
    const known = overview.saes.some(({ id }) => id === sae);
    const context = this.#state.context < overview.contexts.length ? this.#state.context : 0;
    const same = context === this.#state.context;
    const read = overview.contexts[context]?.tokens ?? 0;
    const waits =
      read === 0 && same && (overview.state === "working" || isUnread(overview, context));
    const tokens = waits ? this.#state.tokens : read;
    this.#set({
      overview: waits && overview.saes.length === 0 ? this.#kept(overview) : overview,
      context,
      tokens,
      sae: known ? sae : (overview.saes[0]?.id ?? sae),
      selected:
        same && selected !== undefined && tokens > 0 ? Math.min(selected, tokens - 1) : selected,
      problem: undefined,
    });
    if (overview.state === "off") return;
    if (isUnread(overview, context)) this.#wake();
    else if (!waits) this.#reread();
  }

  /**
   * Has a text read that nobody asked for since the reader started anew: any question about its tokens does it,
   * and a notice follows. Asked once for each refresh, so that a text without tokens asks no more.
   */
  #wake(): void {
    const { uri, context, mode } = this.#state;
    void this.#ask(() => this.#host.call("tokens", { uri, context, from: 0, to: 1, mode }));
  }

  /** Models are loaded again after a restart; what was known of them stands until then. */
  #kept(overview: TextOverview): TextOverview {
    const { lm, saes = [], device } = this.#state.overview ?? {};
    return { ...overview, saes, ...(lm ? { lm } : {}), ...(device ? { device } : {}) };
  }

  /** The blocks [from, to) are in view. */
  show(from: number, to: number): void {
    this.#window = { from, to };
    this.#askBlocks();
  }

  setMode(mode: HeatMode): void {
    this.#set({ mode });
    this.#reread({ withCard: false });
  }

  setSae(sae: string): void {
    this.#set({ sae, showsAllLatents: false });
    this.#reread();
  }

  setContext(context: number): void {
    this.#setContext(context, undefined);
    this.#reread();
  }

  /** The user chose a token on the page: shows its card and selects it in the editor. */
  async choose(index: number): Promise<void> {
    this.#select(index);
    const token = this.token(index);
    if (token?.startOffset === undefined || token.endOffset === undefined) return;
    const { startOffset, endOffset } = token;
    await this.#ask(() =>
      this.#host.call("reveal", { uri: this.#state.uri, startOffset, endOffset }),
    );
  }

  /** The editor's cursor went to a token. */
  follow(place: { context: number; index: number }): void {
    if (place.context !== this.#state.context) {
      this.#setContext(place.context, place.index);
      this.#reread();
    } else if (place.index !== this.#state.selected) {
      this.#select(place.index);
    }
  }

  /** A token of the shown context, if its block has been read. */
  token(index: number): PageToken | undefined {
    return this.#state.blocks.get(Math.floor(index / blockSize))?.[index % blockSize];
  }

  showAllLatents(): void {
    this.#set({ showsAllLatents: true });
    void this.#askCard();
  }

  togglePredictions(): void {
    this.#set({ showsPredictions: !this.#state.showsPredictions, predictions: undefined });
    void this.#askCard();
  }

  /** Pins or unpins a latent; a pinned one is shown as heat at once. */
  async togglePin(latent: number): Promise<void> {
    const { sae, overview } = this.#state;
    if (sae === undefined) return;
    const pinned = overview?.pinned.some((it) => it.sae === sae && it.latent === latent);
    await this.#ask(() => this.#host.call(pinned ? "unpin" : "pin", { sae, latent }));
    if (!pinned) this.#set({ mode: "pinned" });
    await this.refresh();
  }

  /** Has the file read although the settings leave it out. */
  async switchOn(): Promise<void> {
    await this.#ask(() => this.#host.call("switchFile", { uri: this.#state.uri, on: true }));
    await this.refresh();
  }

  run(command: Parameters<PageHostMethods["runCommand"]>[0]["command"]): void {
    void this.#ask(() => this.#host.call("runCommand", { command }));
  }

  #select(index: number): void {
    this.#set({ selected: index, showsAllLatents: false });
    void this.#askCard();
  }

  #setContext(context: number, selected: number | undefined): void {
    const tokens = this.#state.overview?.contexts[context]?.tokens ?? 0;
    const nothing = { blocks: new Map(), card: undefined, predictions: undefined };
    this.#set({ context, tokens, selected, ...nothing });
  }

  /** Invalidates what is shown; it stays on the page until the new answers come. */
  #reread(options = { withCard: true }): void {
    this.#generation++;
    this.#reading.abort();
    this.#reading = new AbortController();
    this.#asked.clear();
    this.#askBlocks();
    if (options.withCard) void this.#askCard();
  }

  #askBlocks(): void {
    const { overview } = this.#state;
    if (!overview || overview.state === "off") return;
    const to = Math.min(this.#window.to, blockCount(this.tokens));
    for (let block = this.#window.from; block < to; block++) {
      if (this.#asked.get(block) === this.#generation) continue;
      this.#asked.set(block, this.#generation);
      void this.#askBlock(block, this.#generation);
    }
  }

  async #askBlock(block: number, generation: number): Promise<void> {
    const { uri, context, sae, mode } = this.#state;
    const from = block * blockSize;
    const range = { uri, context, from, to: Math.min(from + blockSize, this.tokens), mode };
    const answer = await this.#ask(
      (signal) => this.#host.call("tokens", { ...range, ...(sae ? { sae } : {}) }, signal),
      this.#reading.signal,
    );
    if (generation !== this.#generation) return;
    if (!answer) {
      this.#asked.delete(block);
      return;
    }
    const blocks = new Map(this.#state.blocks).set(block, answer.tokens);
    for (const known of blocks.keys()) if (known >= blockCount(this.tokens)) blocks.delete(known);
    this.#set({ blocks, scale: answer.scale });
  }

  async #askCard(): Promise<void> {
    this.#cardReading.abort();
    this.#cardReading = new AbortController();
    const { signal } = this.#cardReading;
    const { uri, context, selected: index, sae, showsAllLatents, showsPredictions } = this.#state;
    if (index === undefined || this.tokens === 0) {
      this.#set({ card: undefined, predictions: undefined });
      return;
    }
    const place = { uri, context, index };
    const params = {
      ...place,
      ...(sae ? { sae } : {}),
      ...(showsAllLatents ? {} : { top: fewLatents }),
    };
    const card = sae
      ? await this.#ask((it) => this.#host.call("tokenCard", params, it), signal)
      : undefined;
    if (signal.aborted) return;
    this.#set({ card });
    if (!showsPredictions) return;
    const predictions = await this.#ask((it) => this.#host.call("predictions", place, it), signal);
    if (!signal.aborted) this.#set({ predictions });
  }

  /** Runs a call; a failure becomes the page's problem, a cancellation nothing. */
  async #ask<T>(
    call: (signal?: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    try {
      return await call(signal);
    } catch (error) {
      const cancelled = error instanceof Error && error.name === "AbortError";
      if (!cancelled && !signal?.aborted) this.#set({ problem: textOf(error) });
      return undefined;
    }
  }

  #set(change: Partial<TextState>): void {
    this.#state = { ...this.#state, ...change };
    const { uri, context, mode, sae, selected: index, showsPredictions } = this.#state;
    this.#remember({ uri, context, mode, sae, index, showsPredictions });
    this.#onChange();
  }
}

/** True while the reader holds nothing of a context, although nothing is wrong and nothing under way. */
function isUnread(overview: TextOverview, context: number): boolean {
  return (
    overview.state === "ready" &&
    overview.lm === undefined &&
    overview.contexts[context] !== undefined
  );
}

/** A bug's text carries a stack; its first line is enough here. */
function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n")[0] ?? text;
}
