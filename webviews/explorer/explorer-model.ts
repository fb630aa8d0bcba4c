/** What the explorer page knows: the SAEs, the list that a search gave, and the latent that is shown. Drawing is elsewhere. */
import type {
  ExplorerCommand,
  ExplorerHostMethods,
  ExplorerMethods,
  ExplorerSae,
  FilePlace,
  LatentContext,
  LatentDashboard,
  LatentItem,
  LatentQuery,
} from "../../server/protocol/explorer.ts";
import type { FindMethods, FoundLatents } from "../../server/protocol/find.ts";
import type { Caller } from "../../server/protocol/rpc.ts";

/** What the page may call. */
export type ExplorerTable = Pick<
  ExplorerMethods,
  | "explorerSaes"
  | "latents"
  | "latentDashboard"
  | "latentContexts"
  | "latentPlaces"
  | "testLatent"
  | "setLabel"
> &
  Pick<FindMethods, "foundLatents"> &
  ExplorerHostMethods;

/** How the search box is read. */
export type SearchMode = "label" | "token" | "similar";

/** Order of the list while nothing is searched. */
export type ListOrder = Extract<LatentQuery, { kind: "all" }>["order"];

/** All that is drawn. */
export interface ExplorerState {
  readonly saes: readonly ExplorerSae[] | undefined;
  readonly sae: string | undefined;
  readonly mode: SearchMode;
  readonly text: string;
  readonly order: ListOrder;
  /** A query that no box spells, such as what fires on a selection. */
  readonly given: LatentQuery | undefined;
  /** What a search by examples came to, while its latents are listed. */
  readonly found: FoundLatents | undefined;
  readonly items: readonly LatentItem[];
  readonly total: number;
  /** Place in the list that arrow keys move. */
  readonly active: number;
  readonly latent: number | undefined;
  readonly dashboard: LatentDashboard | undefined;
  readonly contexts: readonly LatentContext[];
  readonly places: ReturnType<ExplorerMethods["latentPlaces"]> | undefined;
  readonly testText: string;
  readonly test: LatentContext | undefined;
  /** Text of the label while it is edited. */
  readonly draft: string | undefined;
  readonly problem: string | undefined;
  /** Why the list is empty. */
  readonly listProblem: string | undefined;
}

/** What a reload of the window brings back. */
export type Remembered = Pick<
  ExplorerState,
  "sae" | "latent" | "mode" | "text" | "order" | "testText"
>;

/** Items asked for at once. */
const pageSize = 60;
const places = 50;
const typingPause = 150;
const noticePause = 300;

const initial: ExplorerState = {
  saes: undefined,
  sae: undefined,
  mode: "label",
  text: "",
  order: "latent",
  given: undefined,
  found: undefined,
  items: [],
  total: 0,
  active: 0,
  latent: undefined,
  dashboard: undefined,
  contexts: [],
  places: undefined,
  testText: "",
  test: undefined,
  draft: undefined,
  problem: undefined,
  listProblem: undefined,
};

/** The model. */
export class ExplorerModel {
  readonly #host: Pick<Caller<ExplorerTable>, "call">;
  readonly #onChange: () => void;
  readonly #remember: (remembered: Remembered) => void;
  #state: ExplorerState;
  #listNumber = 0;
  #latentNumber = 0;
  #testNumber = 0;
  #searchTimer: ReturnType<typeof setTimeout> | undefined;
  #testTimer: ReturnType<typeof setTimeout> | undefined;
  #noticeTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    host: Pick<Caller<ExplorerTable>, "call">,
    remembered: Partial<Remembered> | undefined,
    { onChange, remember }: { onChange: () => void; remember: (it: Remembered) => void },
  ) {
    this.#host = host;
    this.#onChange = onChange;
    this.#remember = remember;
    this.#state = { ...initial, ...remembered };
  }

  get state(): ExplorerState {
    return this.#state;
  }

  /** The SAE that is shown. */
  get sae(): ExplorerSae | undefined {
    return this.#state.saes?.find(({ id }) => id === this.#state.sae);
  }

  /** Asks the host what to show, and for the SAEs. */
  async start(): Promise<void> {
    const place = await this.#ask(() => this.#host.call("start", {}));
    if (place?.sae !== undefined) this.#set({ sae: place.sae, given: place.query });
    await this.#loadSaes();
    const first = place?.latent ?? this.#state.latent;
    await Promise.all([this.search(), first === undefined ? undefined : this.open(first)]);
  }

  /** Shows a latent or a search that the host asks for. */
  async select({ sae, latent, query }: { sae: string; latent?: number; query?: LatentQuery }) {
    if (sae !== this.#state.sae || query) this.#set({ sae, given: query, text: "", active: 0 });
    if (!this.sae) await this.#loadSaes();
    await Promise.all([this.search(), latent === undefined ? undefined : this.open(latent)]);
  }

  /** Goes to another SAE. */
  async chooseSae(sae: string): Promise<void> {
    this.#set({ ...emptyLatent, sae, latent: undefined, given: undefined, active: 0 });
    await this.search();
  }

  setMode(mode: SearchMode): void {
    this.#set({ mode, given: undefined, active: 0 });
    void this.search();
  }

  setOrder(order: ListOrder): void {
    this.#set({ order, given: undefined, active: 0 });
    void this.search();
  }

  /** Searches as one types, after a short pause. */
  type(text: string): void {
    this.#set({ text, given: undefined, active: 0 });
    clearTimeout(this.#searchTimer);
    this.#searchTimer = setTimeout(() => void this.search(), typingPause);
  }

  /** Moves the place in the list; asks for more at its end. */
  move(by: number): void {
    const { active, items, total } = this.#state;
    const next = Math.max(0, Math.min(items.length - 1, active + by));
    this.#set({ active: next });
    if (next + 5 > items.length && items.length < total) void this.more();
  }

  /** Opens the latent at the place in the list, or the one whose index is typed. */
  async openActive(): Promise<void> {
    const typed = /^#?(\d+)$/.exec(this.#state.text.trim())?.[1];
    const d_sae = this.sae?.d_sae ?? 0;
    if (this.#state.mode === "label" && typed !== undefined && Number(typed) < d_sae)
      return this.open(Number(typed));
    const item = this.#state.items[this.#state.active];
    if (item) await this.open(item.latent);
  }

  /** Asks for the list anew. */
  async search(): Promise<void> {
    const { sae } = this.#state;
    if (sae === undefined || !this.sae) return;
    const number = ++this.#listNumber;
    const query = this.#query();
    this.#set({ listProblem: undefined });
    try {
      const to = Math.max(pageSize, this.#state.active + pageSize / 2);
      const [list, found] = await Promise.all([
        this.#host.call("latents", { sae, query, from: 0, to }),
        query.kind === "found"
          ? this.#host.call("foundLatents", { search: query.search })
          : undefined,
      ]);
      if (number === this.#listNumber) this.#set({ ...list, found });
    } catch (error) {
      if (number !== this.#listNumber || isAbort(error)) return;
      this.#set({ items: [], total: 0, listProblem: textOf(error) });
    }
  }

  /** Asks for the next stretch of the list. */
  async more(): Promise<void> {
    const { sae, items } = this.#state;
    if (sae === undefined) return;
    const number = this.#listNumber;
    const range = { from: items.length, to: items.length + pageSize };
    const found = await this.#ask(() =>
      this.#host.call("latents", { sae, query: this.#query(), ...range }),
    );
    const isSame = number === this.#listNumber && this.#state.items.length === items.length;
    if (found && isSame) this.#set({ items: [...items, ...found.items] });
  }

  /** Shows a latent. */
  async open(latent: number): Promise<void> {
    const isNew = latent !== this.#state.latent || this.#state.dashboard?.latent !== latent;
    if (isNew) this.#set({ ...emptyLatent, latent, draft: undefined });
    await this.#loadLatent();
  }

  /** Types into the test box: read as one types, after a short pause. */
  typeTest(testText: string): void {
    this.#set({ testText });
    clearTimeout(this.#testTimer);
    this.#testTimer = setTimeout(() => void this.#runTest(), typingPause);
  }

  edit(draft: string | undefined): void {
    this.#set({ draft });
  }

  /** Writes the label that is edited. */
  async saveLabel(): Promise<void> {
    const { sae, latent, draft } = this.#state;
    if (sae === undefined || latent === undefined || draft === undefined) return;
    const saved = await this.#ask(() => this.#host.call("setLabel", { sae, latent, text: draft }));
    if (saved === undefined) return;
    this.#set({ draft: undefined });
    await Promise.all([this.#loadLatent(), this.search()]);
  }

  reveal(place: FilePlace): void {
    const { uri, startOffset, endOffset } = place;
    void this.#ask(() => this.#host.call("reveal", { uri, startOffset, endOffset }));
  }

  /** Runs a command of the editor about the SAE or the latent that is shown. */
  command(command: ExplorerCommand): void {
    const { sae, latent, items } = this.#state;
    if (sae === undefined) return;
    const latents = items.map((it) => it.latent);
    const about = {
      command,
      sae,
      ...(latent === undefined ? {} : { latent }),
      ...(command === "explainLatents" ? { latents } : {}),
    };
    void this.#ask(() => this.#host.call("runCommand", about));
  }

  /** Something is new: asks again, once the burst of notices is over. */
  changed(): void {
    clearTimeout(this.#noticeTimer);
    this.#noticeTimer = setTimeout(() => void this.#refresh(), noticePause);
  }

  async #refresh(): Promise<void> {
    const before = JSON.stringify(this.#state.saes);
    await this.#loadSaes();
    // While texts are edited only places change; the list is asked for when labels or indexes did.
    if (before !== JSON.stringify(this.#state.saes)) await this.search();
    if (this.#state.latent !== undefined) await this.#loadLatent();
  }

  async #loadSaes(): Promise<void> {
    const found = await this.#ask(() => this.#host.call("explorerSaes", {}));
    if (!found) return;
    const saes = found.saes.filter((it) => it.metaOf === undefined);
    const sae = saes.some(({ id }) => id === this.#state.sae) ? this.#state.sae : saes[0]?.id;
    this.#set({ saes, sae, problem: undefined });
  }

  async #loadLatent(): Promise<void> {
    const { sae, latent } = this.#state;
    if (sae === undefined || latent === undefined) return;
    const number = ++this.#latentNumber;
    const at = { sae, latent };
    const take = (change: Partial<ExplorerState> | undefined): void => {
      if (change && number === this.#latentNumber) this.#set(change);
    };
    await Promise.all([
      this.#ask(() => this.#host.call("latentDashboard", at)).then((dashboard) =>
        take(dashboard && { dashboard }),
      ),
      this.#ask(() => this.#host.call("latentContexts", at)).then(take),
      this.#ask(() => this.#host.call("latentPlaces", { ...at, limit: places })).then((found) =>
        take(found && { places: found }),
      ),
      this.#runTest(),
    ]);
  }

  async #runTest(): Promise<void> {
    const { sae, latent, testText: text } = this.#state;
    if (sae === undefined || latent === undefined) return;
    const number = ++this.#testNumber;
    if (text === "") return this.#set({ test: undefined });
    const found = await this.#ask(() => this.#host.call("testLatent", { sae, latent, text }));
    if (found && number === this.#testNumber) this.#set({ test: found.context });
  }

  #query(): LatentQuery {
    const { given, mode, order } = this.#state;
    if (given) return given;
    const text = this.#state.text;
    const typed = /^\s*#?(\d+)\s*$/.exec(text)?.[1];
    if (text.trim() === "") return { kind: "all", order };
    if (mode === "token") return { kind: "token", text };
    if (mode === "similar") return { kind: "similar", latent: Number(typed ?? Number.NaN) };
    return { kind: "label", text };
  }

  async #ask<T>(call: () => Promise<T>): Promise<T | undefined> {
    try {
      return await call();
    } catch (error) {
      if (!isAbort(error)) this.#set({ problem: textOf(error) });
      return undefined;
    }
  }

  #set(change: Partial<ExplorerState>): void {
    this.#state = { ...this.#state, ...change };
    const { sae, latent, mode, text, order, testText } = this.#state;
    this.#remember({ sae, latent, mode, text, order, testText });
    this.#onChange();
  }
}

const emptyLatent = {
  dashboard: undefined,
  contexts: [],
  places: undefined,
  test: undefined,
} as const;

function isAbort(error: unknown): boolean {
  return (error as Error).name === "AbortError";
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
