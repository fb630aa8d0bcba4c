/** What the stitching page knows and asks for, without drawing. */
import type {
  DecoderPageMethods,
  StitchCandidate,
  StitchFigures,
  StitchLatent,
} from "../../server/protocol/decoder-pages.ts";
import type { Rule, StitchChoice, StitchedSae } from "../../server/protocol/stitching.ts";
import { type DecoderHost, problemText } from "../decoders/decoder-host.ts";

type Listing = Parameters<DecoderPageMethods["stitchLatents"]>[0];

/** Ranges of cosine and effect that are looked at. */
export type Brush = Pick<Listing, "cosine" | "delta">;

/** Columns by which the list can be ordered. */
export type Sort = Listing["sort"];

/** What the form holds. */
export interface StitchForm {
  readonly a: string;
  readonly b: string;
  readonly files: readonly string[];
  readonly tokens: number;
  readonly rule: Rule;
  readonly ceLatents: number;
}

/** Everything that is drawn. */
export interface StitchState {
  readonly candidates?: readonly StitchCandidate[];
  readonly form: StitchForm;
  /** While something is measured: how far it is. */
  readonly progress?: { readonly share: number; readonly text: string } | undefined;
  readonly figures?: StitchFigures | undefined;
  readonly brush: Brush;
  readonly sort: Sort;
  readonly descending: boolean;
  readonly rows: readonly StitchLatent[];
  readonly total: number;
  readonly insert: "none" | "novel";
  readonly swap: "none" | "reconstruction" | "everything";
  readonly written?: StitchedSae | undefined;
  readonly inUse: boolean;
  readonly showsTables: boolean;
  readonly problem?: string | undefined;
}

const page = 50;
const points = 8;
const progressMs = 500;
const everything: Brush = { cosine: [-2, 2], delta: [-Number.MAX_VALUE, Number.MAX_VALUE] };

/** The model; `onChange` is told after every change of `state`. */
export class StitchModel {
  readonly #host: DecoderHost;
  readonly #onChange: () => void;
  #uri: string | undefined;
  #cancel: AbortController | undefined;
  #list = 0;
  #state: StitchState = {
    form: { a: "", b: "", files: [], tokens: 4096, rule: "effect", ceLatents: 32 },
    brush: everything,
    sort: "deltaMse",
    descending: false,
    rows: [],
    total: 0,
    insert: "novel",
    swap: "none",
    inUse: false,
    showsTables: false,
  };

  constructor(host: DecoderHost, onChange: () => void) {
    this.#host = host;
    this.#onChange = onChange;
  }

  get state(): StitchState {
    return this.#state;
  }

  /** Asks what can be stitched. */
  async start(): Promise<void> {
    await this.#ask(async () => {
      this.#uri = (await this.#host.call("start", {})).uri;
      const of = this.#uri === undefined ? {} : { uri: this.#uri };
      const { candidates, a = "", b = "" } = await this.#host.call("stitchCandidates", of);
      this.#set({ candidates, form: { ...this.#state.form, a, b } });
    });
  }

  /** Changes the form. */
  change(change: Partial<StitchForm>): void {
    this.#set({ form: { ...this.#state.form, ...change } });
  }

  /** Lets the user pick texts to measure on. */
  async pickTexts(): Promise<void> {
    await this.#ask(async () => this.change({ files: await this.#host.call("pickTexts", {}) }));
  }

  /** Measures the pair of the form. */
  async measure(): Promise<void> {
    const cancel = new AbortController();
    this.#cancel = cancel;
    this.#set({ progress: { share: 0, text: "loading" }, written: undefined });
    const timer = setInterval(() => void this.#askProgress(cancel), progressMs);
    await this.#ask(async () => {
      const { form } = this.#state;
      const of = this.#uri === undefined ? {} : { uri: this.#uri };
      const question = { ...form, ...of, points };
      const figures = await this.#host.call("stitchMeasure", question, cancel.signal);
      this.#set({ figures, brush: everything });
      await this.#listLatents(0, page);
    });
    clearInterval(timer);
    this.#cancel = undefined;
    this.#set({ progress: undefined });
  }

  /** Ends the measurement. */
  cancel(): void {
    this.#cancel?.abort();
  }

  /** Lists the latents within ranges; all without. */
  async setBrush(brush: Brush | undefined): Promise<void> {
    this.#set({ brush: brush ?? everything });
    await this.#ask(() => this.#listLatents(0, page));
  }

  /** Whether ranges are set. */
  get isBrushed(): boolean {
    return this.#state.brush !== everything;
  }

  /** Orders the list; the same column again turns it round. */
  async sortBy(sort: Sort): Promise<void> {
    const descending = this.#state.sort === sort && !this.#state.descending;
    this.#set({ sort, descending });
    await this.#ask(() => this.#listLatents(0, page));
  }

  /** Lists more of the same. */
  async more(): Promise<void> {
    const from = this.#state.rows.length;
    await this.#ask(() => this.#listLatents(from, from + page));
  }

  /** What a stitched SAE is to be made of. */
  choose(choice: Partial<Pick<StitchState, "insert" | "swap">>): void {
    this.#set({ ...choice, written: undefined });
  }

  /** Writes the stitched SAE into a folder that the user picks. */
  async write(): Promise<void> {
    await this.#ask(async () => {
      const { figures, insert, swap } = this.#state;
      const name = `${figures?.narrow ?? "sae"}-stitched`;
      const { folder } = await this.#host.call("pickFolder", { name });
      if (folder === undefined) return;
      const choice: StitchChoice = { insert, swap };
      const written = await this.#host.call("stitchWrite", { ...choice, folder });
      this.#set({ written, inUse: false });
    });
  }

  /** Reads texts with the SAE that was written. */
  async use(): Promise<void> {
    const { written } = this.#state;
    if (!written) return;
    await this.#ask(async () => {
      await this.#host.call("useSae", { folder: written.folder });
      this.#set({ inUse: true });
    });
  }

  /** Shows figures as tables in place of charts. */
  setTables(showsTables: boolean): void {
    this.#set({ showsTables });
  }

  async #askProgress(cancel: AbortController): Promise<void> {
    const progress = await this.#host.call("stitchProgress", {}).catch(() => undefined);
    if (progress && this.#cancel === cancel && progress.share < 1) this.#set({ progress });
  }

  async #listLatents(from: number, to: number): Promise<void> {
    const list = ++this.#list;
    const { brush, sort, descending } = this.#state;
    const asked = { ...brush, sort, descending, from, to };
    const { rows, total } = await this.#host.call("stitchLatents", asked);
    if (list !== this.#list) return;
    this.#set({ rows: from === 0 ? rows : [...this.#state.rows, ...rows], total });
  }

  async #ask(work: () => Promise<void>): Promise<void> {
    try {
      this.#set({ problem: undefined });
      await work();
    } catch (error) {
      this.#set({ problem: problemText(error) });
    }
  }

  #set(change: Partial<StitchState>): void {
    this.#state = { ...this.#state, ...change };
    this.#onChange();
  }
}
