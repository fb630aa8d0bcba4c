/** What the page about levels of decomposition knows and asks for, without drawing. */
import type { AbsorptionSetting } from "../../server/protocol/absorption.ts";
import type {
  DecompositionMethods,
  DecompositionTask,
  LevelsReport,
  RepairReport,
} from "../../server/protocol/decompositions.ts";
import { type DecoderHost, problemText } from "../decoders/decoder-host.ts";

/** What the form holds; SAEs by their paths. */
interface DecompositionForm {
  readonly paths: readonly string[];
  readonly labels: string;
  readonly setting: AbsorptionSetting;
  readonly texts: readonly string[];
  /** Whose absorption is to be repaired, and through which meta-SAE. */
  readonly sae: string;
  readonly meta: string;
}

/** Everything that is drawn. */
export interface DecompositionsState {
  readonly choices?: ReturnType<DecompositionMethods["decompositionChoices"]>;
  readonly form: DecompositionForm;
  /** What is computed now, and how far it is. */
  readonly working?:
    { readonly what: "levels" | "repair"; share: number; text: string } | undefined;
  readonly levels?: LevelsReport | undefined;
  readonly repair?: RepairReport | undefined;
  readonly problem?: string | undefined;
}

const progressMs = 400;

/** The model; `onChange` is told after every change of `state`. */
export class DecompositionsModel {
  readonly #host: DecoderHost;
  readonly #onChange: () => void;
  #uri: string | undefined;
  #cancel: AbortController | undefined;
  #state: DecompositionsState = {
    form: { paths: [], labels: "", setting: "prompts", texts: [], sae: "", meta: "" },
  };

  constructor(host: DecoderHost, onChange: () => void) {
    this.#host = host;
    this.#onChange = onChange;
  }

  get state(): DecompositionsState {
    return this.#state;
  }

  /** Asks what can be compared. */
  async start(): Promise<void> {
    await this.#ask(async () => {
      this.#uri = (await this.#host.call("start", {})).uri;
      const choices = await this.#host.call("decompositionChoices", this.#of());
      const paths = choices.candidates.filter((it) => it.chosen).map(({ path }) => path);
      const [task] = choices.tasks;
      this.#set({ choices, form: { ...this.#state.form, paths, labels: task?.labels ?? "" } });
    });
  }

  /** Changes the form. */
  change(change: Partial<DecompositionForm>): void {
    this.#set({ form: { ...this.#state.form, ...change } });
  }

  /** Takes an SAE into the comparison, or out of it; those that are in stay in the order of the list. */
  toggle(path: string): void {
    const { form, choices } = this.#state;
    const isIn = (it: string): boolean => form.paths.includes(it) !== (it === path);
    this.change({ paths: (choices?.candidates ?? []).map((it) => it.path).filter(isIn) });
  }

  /** Lets the user pick running text. */
  async pickTexts(): Promise<void> {
    await this.#ask(async () => this.change({ texts: await this.#host.call("pickTexts", {}) }));
  }

  /** Compares the levels that are chosen. */
  async compare(): Promise<void> {
    const { paths } = this.#state.form;
    await this.#work("levels", async (signal) => {
      const asked = { ...this.#task(), ...this.#of(), paths };
      this.#set({ levels: await this.#host.call("compareLevels", asked, signal) });
    });
  }

  /** Tries to repair the SAE's absorption. */
  async repair(): Promise<void> {
    const { sae, meta } = this.#state.form;
    await this.#work("repair", async (signal) => {
      const asked = { ...this.#task(), ...this.#of(), sae, meta };
      this.#set({ repair: await this.#host.call("tryRepair", asked, signal) });
    });
  }

  /** Ends what is computed now. */
  cancel(): void {
    this.#cancel?.abort();
  }

  #task(): DecompositionTask {
    const { labels, setting, texts } = this.#state.form;
    return { labels, setting, ...(setting === "text" && texts.length > 0 ? { texts } : {}) };
  }

  #of(): { uri?: string } {
    return this.#uri === undefined ? {} : { uri: this.#uri };
  }

  async #work(
    what: "levels" | "repair",
    work: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const cancel = new AbortController();
    this.#cancel = cancel;
    this.#set({ [what]: undefined, working: { what, share: 0, text: "loading" } });
    const timer = setInterval(() => void this.#askProgress(what, cancel), progressMs);
    await this.#ask(() => work(cancel.signal));
    clearInterval(timer);
    this.#cancel = undefined;
    this.#set({ working: undefined });
  }

  async #askProgress(what: "levels" | "repair", cancel: AbortController): Promise<void> {
    const found = await this.#host.call("decompositionProgress", {}).catch(() => undefined);
    if (found && this.#cancel === cancel) this.#set({ working: { what, ...found } });
  }

  async #ask(work: () => Promise<void>): Promise<void> {
    try {
      this.#set({ problem: undefined });
      await work();
    } catch (error) {
      this.#set({ problem: problemText(error) });
    }
  }

  #set(change: Partial<DecompositionsState>): void {
    this.#state = { ...this.#state, ...change };
    this.#onChange();
  }
}
