/** What the pages that compare texts have in common: a question, its answer, and how far it is. */
import { isCancelled } from "../../server/base/errors.ts";
import type { ComparisonEvents, ComparisonHostMethods } from "../../server/protocol/comparison.ts";
import type { Caller } from "../../server/protocol/rpc.ts";

/** What is drawn on both pages. */
export interface AskingState<Asked, View> {
  readonly asked: Asked | undefined;
  readonly names: readonly string[];
  readonly view: View | undefined;
  /** What is going on, while an answer is waited for. */
  readonly working: ComparisonEvents["progress"] | undefined;
  readonly problem: string | undefined;
}

/** Asks, waits, gives up. A page's own model says by which method, and what else it knows. */
export abstract class AskingModel<Asked, View> {
  readonly #host: Pick<Caller<ComparisonHostMethods<Asked>>, "call">;
  readonly #onChange: () => void;
  #asking: AbortController | undefined;
  state: AskingState<Asked, View> = {
    asked: undefined,
    names: [],
    view: undefined,
    working: undefined,
    problem: undefined,
  };

  constructor(host: Pick<Caller<ComparisonHostMethods<Asked>>, "call">, onChange: () => void) {
    this.#host = host;
    this.#onChange = onChange;
  }

  /** The answer to a question. */
  protected abstract answer(asked: Asked, signal: AbortSignal): Promise<View>;

  /** Forgets what was chosen of a former answer. */
  protected abstract forget(): void;

  /** Asks the host what the page is about, and then for that. */
  async start(): Promise<void> {
    const { asked, names } = await this.#host.call("start", {});
    this.set({ names, view: undefined });
    await this.ask(asked);
  }

  /** Asks; an answer that is still waited for is given up. */
  async ask(asked: Asked): Promise<void> {
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    this.set({ asked, working: { text: "starting" }, problem: undefined });
    try {
      const view = await this.answer(asked, asking.signal);
      if (this.#asking !== asking) return;
      this.forget();
      this.set({ view, working: undefined });
    } catch (error) {
      if (this.#asking !== asking) return;
      const problem = isCancelled(error) ? "cancelled" : (error as Error).message;
      this.set({ working: undefined, problem });
    }
  }

  /** The same, asked in another way. */
  change(changes: Partial<Asked>): void {
    if (this.state.asked) void this.ask({ ...this.state.asked, ...changes });
  }

  /** Gives up waiting. */
  cancel(): void {
    this.#asking?.abort();
  }

  /** Hears an event of the host. */
  hear(event: string, params: unknown): void {
    if (event === "restart") void this.start();
    if (event === "progress" && this.state.working)
      this.set({ working: params as ComparisonEvents["progress"] });
  }

  /** Shows a stretch of a text in an editor; one that is in no file stays where it is. */
  reveal(text: number, range: { startOffset?: number; endOffset?: number } | undefined): void {
    const { startOffset, endOffset } = range ?? {};
    if (startOffset === undefined || endOffset === undefined) return;
    this.#tell(this.#host.call("reveal", { text, startOffset, endOffset }));
  }

  /** Pins a latent of the SAE that is shown. */
  pin(sae: string, latent: number): void {
    this.#tell(this.#host.call("pin", { sae, latent }));
  }

  /** Changes what is drawn. */
  protected set(changes: Partial<AskingState<Asked, View>>): void {
    this.state = { ...this.state, ...changes };
    this.#onChange();
  }

  #tell(call: Promise<unknown>): void {
    call.catch((error: Error) => this.set({ problem: error.message }));
  }
}
