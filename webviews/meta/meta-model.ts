/** What the meta-SAE explorer knows and asks for, without drawing. */
import type {
  MetaComparisonFigures,
  MetaPair,
  MetaRow,
  NamedBreakdown,
  NamedLatent,
  NamedMember,
} from "../../server/protocol/decoder-pages.ts";
import type { MetaSummary } from "../../server/protocol/meta.ts";
import { type DecoderHost, problemText } from "../decoders/decoder-host.ts";

/** A meta-latent with the members that are shown of it. */
export type ShownMembers = NamedLatent & { count: number; members: readonly NamedMember[] };

/** Everything that is drawn. */
export interface MetaState {
  readonly pairs?: readonly MetaPair[];
  readonly pair?: MetaPair;
  readonly summary?: MetaSummary;
  /** What the list holds. */
  readonly of: "meta" | "parent";
  readonly query: string;
  readonly rows: readonly MetaRow[];
  readonly total: number;
  readonly breakdown?: NamedBreakdown | undefined;
  readonly members?: ShownMembers | undefined;
  readonly comparison?: MetaComparisonFigures | undefined;
  readonly showsTables: boolean;
  readonly busy: boolean;
  readonly problem?: string | undefined;
}

/** Rows that a list grows by. */
const page = 50;

/** The model; `onChange` is told after every change of `state`. */
export class MetaModel {
  readonly #host: DecoderHost;
  readonly #onChange: () => void;
  #search = 0;
  #state: MetaState = {
    of: "meta",
    query: "",
    rows: [],
    total: 0,
    showsTables: false,
    busy: true,
  };

  constructor(host: DecoderHost, onChange: () => void) {
    this.#host = host;
    this.#onChange = onChange;
  }

  get state(): MetaState {
    return this.#state;
  }

  /** Asks which meta-SAEs there are and shows the first. */
  async start(): Promise<void> {
    await this.#ask(async () => {
      const { uri, latent } = await this.#host.call("start", {});
      const pairs = await this.#host.call("metaPairs", uri === undefined ? {} : { uri });
      this.#set({ pairs });
      const [first] = pairs;
      if (first) await this.choose(first.meta);
      if (latent !== undefined) await this.showLatent(latent);
    });
  }

  /** Shows another meta-SAE. */
  async choose(meta: string): Promise<void> {
    const pair = this.#state.pairs?.find((it) => it.meta === meta);
    if (!pair) return;
    this.#set({ pair, rows: [], total: 0, breakdown: undefined, members: undefined });
    this.#set({ comparison: undefined });
    await this.#ask(async () => {
      this.#set({ summary: await this.#host.call("metaOverview", { meta }) });
      await this.search(this.#state.query, this.#state.of);
      const [first] = this.#state.rows;
      if (first && this.#state.of === "meta") await this.showMeta(first.latent);
    });
  }

  /** Lists what matches, from the beginning. */
  async search(query: string, of: MetaState["of"]): Promise<void> {
    this.#set({ query, of });
    await this.#list(0, page);
  }

  /** Lists more of the same. */
  async more(): Promise<void> {
    await this.#list(this.#state.rows.length, this.#state.rows.length + page);
  }

  /** Breaks a latent down. */
  async showLatent(latent: number): Promise<void> {
    await this.#ofMeta(async (meta) =>
      this.#set({ breakdown: await this.#host.call("metaBreakdown", { meta, latent }) }),
    );
  }

  /** Lists a meta-latent's members. */
  async showMeta(latent: number): Promise<void> {
    await this.#ofMeta(async (meta) => {
      const range = { from: 0, to: page };
      this.#set({ members: await this.#host.call("metaMemberRows", { meta, latent, ...range }) });
    });
  }

  /** Lists more members of the meta-latent that is shown. */
  async moreMembers(): Promise<void> {
    const { members } = this.#state;
    if (!members) return;
    await this.#ofMeta(async (meta) => {
      const from = members.members.length;
      const asked = { meta, latent: members.latent, from, to: from + page };
      const found = await this.#host.call("metaMemberRows", asked);
      this.#set({ members: { ...found, members: [...members.members, ...found.members] } });
    });
  }

  /** Compares meta-latents with a narrower SAE. */
  async compare(narrow: string): Promise<void> {
    await this.#ofMeta(async (meta) =>
      this.#set({ comparison: await this.#host.call("metaCompare", { meta, narrow }) }),
    );
  }

  /** Goes on to the page that says whether meta-latents help for a task. */
  async compareDecompositions(): Promise<void> {
    await this.#ask(async () => void (await this.#host.call("compareDecompositions", {})));
  }

  /** Shows figures as tables in place of charts. */
  setTables(showsTables: boolean): void {
    this.#set({ showsTables });
  }

  async #list(from: number, to: number): Promise<void> {
    const search = ++this.#search;
    const { of, query } = this.#state;
    await this.#ofMeta(async (meta) => {
      const { rows, total } = await this.#host.call("metaSearch", { meta, of, query, from, to });
      // An answer that came too late is not drawn over a newer one.
      if (search !== this.#search) return;
      this.#set({ rows: from === 0 ? rows : [...this.#state.rows, ...rows], total });
    });
  }

  async #ofMeta(work: (meta: string) => Promise<void>): Promise<void> {
    const { pair } = this.#state;
    if (pair) await this.#ask(() => work(pair.meta));
  }

  async #ask(work: () => Promise<void>): Promise<void> {
    this.#set({ busy: true });
    try {
      await work();
      this.#set({ busy: false, problem: undefined });
    } catch (error) {
      this.#set({ busy: false, problem: problemText(error) });
    }
  }

  #set(change: Partial<MetaState>): void {
    this.#state = { ...this.#state, ...change };
    this.#onChange();
  }
}
