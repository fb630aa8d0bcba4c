/** What the page about absorption over SAEs knows and asks for, without drawing. */
import type { AbsorptionPageMethods, AbsorptionSetting } from "../../server/protocol/absorption.ts";
import type { AbsorptionSweep } from "../../server/protocol/absorption-sweep.ts";
import { type DecoderHost, problemText } from "../decoders/decoder-host.ts";
import type { Metric } from "./sweep-figures.ts";

/** What the form holds. */
interface SweepForm {
  readonly labels: string;
  readonly setting: AbsorptionSetting;
  /** SAEs that are to be measured. */
  readonly saes: readonly string[];
}

/** A cell of the heat map: of this SAE, and this label. */
export interface Place {
  readonly row: number;
  readonly column: number;
}

/** Everything that is drawn. */
export interface SweepState {
  readonly choices?: ReturnType<AbsorptionPageMethods["absorptionChoices"]>;
  readonly form: SweepForm;
  /** While something is measured: how far it is. */
  readonly progress?: { readonly share: number; readonly text: string } | undefined;
  readonly sweep?: AbsorptionSweep | undefined;
  readonly metric: Metric;
  /** The cell that is looked at. */
  readonly place: Place;
  readonly problem?: string | undefined;
}

const progressMs = 500;

/** The model; `onChange` is told after every change of `state`. */
export class SweepModel {
  readonly #host: DecoderHost;
  readonly #onChange: () => void;
  #uri: string | undefined;
  #cancel: AbortController | undefined;
  #state: SweepState = {
    form: { labels: "", setting: "prompts", saes: [] },
    metric: "meanFraction",
    place: { row: 0, column: 0 },
  };

  constructor(host: DecoderHost, onChange: () => void) {
    this.#host = host;
    this.#onChange = onChange;
  }

  get state(): SweepState {
    return this.#state;
  }

  /** Opens the folder that the page was opened with, and asks what can be measured. */
  async start(): Promise<void> {
    await this.#ask(async () => {
      const { uri, sweep } = await this.#host.call("start", {});
      this.#uri = uri;
      if (sweep !== undefined) await this.#open(sweep);
    });
    // A folder can be looked at without models.
    await this.#ask(async () => {
      const choices = await this.#host.call("absorptionChoices", this.#of());
      const labels = choices.tasks[0]?.labels ?? "";
      const saes = choices.saes.map((it) => it.id);
      this.#set({ choices, form: { ...this.#state.form, labels, saes } });
    }, this.#state.problem);
  }

  /** Changes the form. */
  change(change: Partial<SweepForm>): void {
    this.#set({ form: { ...this.#state.form, ...change } });
  }

  /** Measures an SAE, too, or leaves it out. */
  toggle(sae: string): void {
    const { saes } = this.#state.form;
    this.change({ saes: saes.includes(sae) ? saes.filter((it) => it !== sae) : [...saes, sae] });
  }

  /** Shows another figure in the cells. */
  showMetric(metric: Metric): void {
    this.#set({ metric });
  }

  /** Looks at a cell. */
  look(place: Place): void {
    this.#set({ place });
  }

  /** Lets the user pick a folder, and shows what is in it. */
  async openFolder(): Promise<void> {
    await this.#ask(async () => {
      const { folder } = await this.#host.call("pickSweep", {});
      if (folder !== undefined) await this.#open(folder);
    });
  }

  /** Measures the chosen SAEs one after the other; rows appear as they come. */
  async measure(): Promise<void> {
    const cancel = new AbortController();
    this.#cancel = cancel;
    const { form, choices } = this.#state;
    const saes = (choices?.saes ?? []).map((it) => it.id).filter((id) => form.saes.includes(id));
    this.#set({ sweep: undefined, place: { row: 0, column: 0 }, problem: undefined });
    for (const [at, sae] of saes.entries()) {
      if (cancel.signal.aborted) break;
      const share = at / saes.length;
      this.#set({ progress: { share, text: `${sae}: loading` } });
      const timer = setInterval(
        () => void this.#askProgress(cancel, { from: share, part: 1 / saes.length }),
        progressMs,
      );
      await this.#measureOne(sae, saes.slice(at + 1), cancel.signal);
      clearInterval(timer);
    }
    this.#cancel = undefined;
    this.#set({ progress: undefined });
  }

  /** Ends the measurement; what is measured stays. */
  cancel(): void {
    this.#cancel?.abort();
  }

  async #measureOne(sae: string, waiting: readonly string[], signal: AbortSignal): Promise<void> {
    const { labels, setting } = this.#state.form;
    const before = this.#state.sweep;
    try {
      const question = { ...this.#of(), sae, labels, setting };
      const { report, row, corpus } = await this.#host.call("measureAbsorption", question, signal);
      const { lm, task, probe, selection, judge, seed } = report;
      this.#set({
        sweep: {
          schemaVersion: 1,
          kind: "absorption-sweep",
          lm,
          task,
          setting,
          probe,
          selection,
          judge,
          seed,
          corpus,
          rows: [...(before?.rows ?? []), row],
          failed: before?.failed ?? [],
          waiting,
        },
      });
    } catch (error) {
      const problem = problemText(error);
      if (problem === undefined) return;
      if (before)
        this.#set({ sweep: { ...before, waiting, failed: [...before.failed, { sae, problem }] } });
      else this.#set({ problem: `${sae}: ${problem}` });
    }
  }

  async #open(folder: string): Promise<void> {
    const sweep = await this.#host.call("openSweep", { folder });
    this.#set({ sweep, place: { row: 0, column: 0 } });
  }

  #of(): { uri?: string } {
    return this.#uri === undefined ? {} : { uri: this.#uri };
  }

  async #askProgress(
    cancel: AbortController,
    { from, part }: { from: number; part: number },
  ): Promise<void> {
    const progress = await this.#host.call("absorptionProgress", {}).catch(() => undefined);
    if (progress && this.#cancel === cancel)
      this.#set({ progress: { text: progress.text, share: from + part * progress.share } });
  }

  async #ask(work: () => Promise<void>, before?: string): Promise<void> {
    try {
      this.#set({ problem: before });
      await work();
    } catch (error) {
      this.#set({ problem: problemText(error) });
    }
  }

  #set(change: Partial<SweepState>): void {
    this.#state = { ...this.#state, ...change };
    this.#onChange();
  }
}
