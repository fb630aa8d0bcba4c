/** What the attribution page knows: what was asked, the answer, and what of it is shown. */
import { isCancelled } from "../../server/base/errors.ts";
import type { AttributedLatent } from "../../server/protocol/interventions.ts";
import type {
  AttributeNext,
  AttributionEvents,
  AttributionHostMethods,
  AttributionView,
  CauseMethods,
} from "../../server/protocol/page-causes.ts";
import type { Caller } from "../../server/protocol/rpc.ts";

/** What the page may call. */
export type AttributionTable = Pick<CauseMethods, "attributeNext"> & AttributionHostMethods;

/** The columns by which latents are sorted. */
export type Column = "attribution" | "latent" | "position" | "activation" | "gradient" | "effect";

/** What a page that is hidden and shown again starts from. */
export interface Remembered {
  readonly asked: AttributeNext;
  readonly view: AttributionView;
}

/** Everything that is drawn. */
export interface AttributionState {
  readonly asked: AttributeNext | undefined;
  readonly view: AttributionView | undefined;
  /** What is going on, while an answer is waited for. */
  readonly working: { readonly text: string; readonly percentage?: number } | undefined;
  readonly problem: string | undefined;
  readonly order: { readonly column: Column; readonly descending: boolean };
  /** The position whose latents alone are listed. */
  readonly position: number | undefined;
}

/** The page's state and what changes it. */
export class AttributionModel {
  readonly #host: Caller<AttributionTable>;
  readonly #options: { onChange(): void; remember(state: Remembered): void };
  #asking: AbortController | undefined;
  state: AttributionState;

  constructor(
    host: Caller<AttributionTable>,
    remembered: Remembered | undefined,
    options: { onChange(): void; remember(state: Remembered): void },
  ) {
    this.#host = host;
    this.#options = options;
    this.state = {
      asked: remembered?.asked,
      view: remembered?.view,
      working: undefined,
      problem: undefined,
      order: { column: "attribution", descending: true },
      position: undefined,
    };
  }

  /** Asks the host what the page is about, unless that is what is remembered. */
  async start(): Promise<void> {
    const asked = await this.#host.call("start", {});
    if (this.state.view && JSON.stringify(asked) === JSON.stringify(this.state.asked)) return;
    await this.ask(asked);
  }

  /** Asks for an attribution; an answer that is still waited for is given up. */
  async ask(asked: AttributeNext): Promise<void> {
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    const another = !sameToken(asked, this.state.asked);
    this.#set({
      asked,
      working: { text: "starting" },
      problem: undefined,
      ...(another ? { view: undefined, position: undefined } : {}),
    });
    try {
      const view = await this.#host.call("attributeNext", asked, asking.signal);
      if (this.#asking !== asking) return;
      this.#set({ view, working: undefined });
      this.#options.remember({ asked, view });
    } catch (error) {
      if (this.#asking !== asking) return;
      const problem = isCancelled(error) ? "cancelled" : (error as Error).message;
      this.#set({ working: undefined, problem });
    }
  }

  /** The same token, asked about in another way. */
  change(changes: Partial<AttributeNext>): void {
    if (this.state.asked) void this.ask({ ...this.state.asked, ...changes });
  }

  /** Gives up waiting. */
  cancel(): void {
    this.#asking?.abort();
  }

  /** Hears how far the answer is. */
  progress(working: AttributionEvents["progress"]): void {
    if (this.state.working) this.#set({ working });
  }

  /** Sorts by a column; a second time the other way round. */
  sortBy(column: Column): void {
    const { order } = this.state;
    const descending = order.column === column ? !order.descending : column !== "position";
    this.#set({ order: { column, descending } });
  }

  /** Lists the latents of one position alone, or of all again, and shows it in the editor. */
  choose(position: number): void {
    const all = this.state.position === position;
    this.#set({ position: all ? undefined : position });
    if (!all) this.reveal(position);
  }

  /** Shows a token in the editor. */
  reveal(position: number): void {
    const { view } = this.state;
    const token = view?.tokens[position];
    if (!view || token?.startOffset === undefined || token.endOffset === undefined) return;
    const { startOffset, endOffset } = token;
    this.#tell(this.#host.call("reveal", { uri: view.uri, startOffset, endOffset }));
  }

  /** Pins a latent of the SAE that is shown. */
  pin(latent: number): void {
    const { view } = this.state;
    if (view) this.#tell(this.#host.call("pin", { sae: view.sae, latent }));
  }

  /** Steers with a latent or meta-latent. */
  steer(kind: "latent" | "meta-latent", latent: number): void {
    const { view } = this.state;
    if (view) this.#tell(this.#host.call("steer", { sae: view.sae, kind, latent }));
  }

  /** Latents as they are listed. */
  get latents(): readonly AttributedLatent[] {
    const { view, order, position } = this.state;
    const sign = order.descending ? -1 : 1;
    const value = (it: AttributedLatent): number =>
      order.column === "attribution" ? Math.abs(it.attribution) : (it[order.column] ?? 0);
    return (view?.latents ?? [])
      .filter((it) => position === undefined || it.position === position)
      .toSorted((a, b) => sign * (value(a) - value(b)));
  }

  #tell(call: Promise<unknown>): void {
    call.catch((error: Error) => this.#set({ problem: error.message }));
  }

  #set(changes: Partial<AttributionState>): void {
    this.state = { ...this.state, ...changes };
    this.#options.onChange();
  }
}

function sameToken(a: AttributeNext, b: AttributeNext | undefined): boolean {
  return a.uri === b?.uri && a.context === b.context && a.index === b.index;
}
