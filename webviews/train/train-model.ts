/**
 * What the training page knows and asks for, without drawing: the runs, the curves of those that are shown, the
 * range of steps that is looked at. It asks by range and only for curves that can have changed.
 */
import type { Caller } from "../../server/protocol/rpc.ts";
import type {
  RunCommand,
  RunCurves,
  RunInfo,
  RunMethods,
  RunSae,
  TrainHostMethods,
} from "../../server/protocol/runs.ts";

/** The table that the page calls. */
export type TrainTable = Pick<RunMethods, "runs" | "runCurves"> & TrainHostMethods;

/** Where calls go. */
export type TrainHost = Pick<Caller<TrainTable>, "call">;

/** What the page remembers over a reload of the window. */
export interface Remembered {
  readonly folder: string;
  readonly shown: readonly string[];
  readonly showsTables: boolean;
}

/** An SAE of a run: a line in the charts and a row in the table. */
export interface Line {
  readonly key: string;
  readonly name: string;
  readonly run: RunInfo;
  readonly sae: RunSae;
}

/** The steps that are looked at. */
export interface StepRange {
  readonly from: number;
  readonly to: number;
}

/** Everything that is drawn. */
export interface TrainState {
  readonly folder: string;
  /** Undefined until the runs are known. */
  readonly runs?: readonly RunInfo[];
  /** Keys of the lines that are shown, in the order of their colours. */
  readonly shown: readonly string[];
  readonly curves: ReadonlyMap<string, RunCurves>;
  /** Undefined: all steps. */
  readonly range?: StepRange | undefined;
  readonly showsTables: boolean;
  readonly problem?: string | undefined;
}

/** As many lines as there are colours and dashes to tell them apart. */
export const mostLines = 8;
/** Points of a curve: about one for every two pixels of a chart. */
const points = 300;
const pauseMs = 40;

/** The model; `onChange` is told after every change of `state`. */
export class TrainModel {
  readonly #host: TrainHost;
  readonly #onChange: () => void;
  readonly #remember: (remembered: Remembered) => void;
  /** What each curve was asked for last: it is asked again when this changes. */
  readonly #asked = new Map<string, string>();
  #state: TrainState;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #refreshing: Promise<void> | undefined;

  constructor(
    host: TrainHost,
    remembered: Partial<Remembered> | undefined,
    listeners: { onChange: () => void; remember: (remembered: Remembered) => void },
  ) {
    this.#host = host;
    this.#onChange = listeners.onChange;
    this.#remember = listeners.remember;
    this.#state = {
      folder: remembered?.folder ?? "",
      shown: remembered?.shown ?? [],
      curves: new Map(),
      showsTables: remembered?.showsTables ?? false,
    };
  }

  get state(): TrainState {
    return this.#state;
  }

  /** The run that the page was opened at. */
  get run(): RunInfo | undefined {
    return this.#state.runs?.find(({ folder }) => folder === this.#state.folder);
  }

  /** A line for each SAE of each run. */
  get lines(): readonly Line[] {
    return (this.#state.runs ?? []).flatMap((run) =>
      run.saes.map((sae) => ({
        key: keyOf(run, sae),
        name: run.saes.length === 1 ? run.name : `${run.name} ${sae.id}`,
        run,
        sae,
      })),
    );
  }

  /** The lines that are shown; `slot` is the place of its colour. */
  get shownLines(): readonly (Line & { slot: number })[] {
    const lines = this.lines;
    return this.#state.shown.flatMap((key, slot) => {
      const line = lines.find((it) => it.key === key);
      return line ? [{ ...line, slot }] : [];
    });
  }

  /** Learns from the host which run to show, and asks for everything. */
  async start(): Promise<void> {
    const { folder } = await this.#host.call("start", {});
    if (folder === "" || folder === this.#state.folder) await this.refresh();
    else await this.select(folder);
  }

  /** Shows a run: all its lines, and no others. */
  async select(folder: string): Promise<void> {
    this.#set({ folder, shown: [], range: undefined });
    await this.refresh();
  }

  /** Something is new: asks again, once the burst of notices is over. */
  changed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.refresh(), pauseMs);
  }

  /** Asks for the runs and for the curves that are shown. */
  async refresh(): Promise<void> {
    // A new run that is selected meanwhile is asked for after the present answer.
    while (this.#refreshing) await this.#refreshing;
    this.#refreshing = this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    await this.#refreshing;
  }

  /** Lays a line over the others, or takes it away. */
  toggle(key: string): void {
    const { shown } = this.#state;
    if (shown.includes(key)) this.#set({ shown: shown.filter((it) => it !== key) });
    else if (shown.length < mostLines) this.#set({ shown: [...shown, key] });
    void this.refresh();
  }

  /** Looks at some steps, or at all. */
  setRange(range: StepRange | undefined): void {
    this.#set({ range });
    void this.refresh();
  }

  /** Shows figures as tables in place of charts. */
  setTables(showsTables: boolean): void {
    this.#set({ showsTables });
  }

  /** Runs a command of the editor about a run. */
  async command(command: RunCommand, { folder }: RunInfo, sae?: string): Promise<void> {
    await this.#ask(() =>
      this.#host.call("runCommand", { command, folder, ...(sae === undefined ? {} : { sae }) }),
    );
  }

  async #refresh(): Promise<void> {
    const answer = await this.#ask(() => this.#host.call("runs", {}));
    if (!answer) return;
    const { runs } = answer;
    this.#set({ runs, problem: undefined });
    if (!this.run && runs[0]) this.#set({ folder: runs[0].folder });
    const keys = new Set(this.lines.map(({ key }) => key));
    const shown = this.#state.shown.filter((key) => keys.has(key));
    const own = this.lines.filter(({ run }) => run === this.run).map(({ key }) => key);
    this.#set({ shown: shown.length > 0 ? shown : own.slice(0, mostLines) });
    await Promise.all(this.shownLines.map((line) => this.#askCurve(line)));
  }

  async #askCurve({ key, run, sae }: Line): Promise<void> {
    const { range } = this.#state;
    const wanted = JSON.stringify([sae.last?.step ?? -1, run.state, range]);
    if (this.#asked.get(key) === wanted) return;
    this.#asked.set(key, wanted);
    const steps = range ? { fromStep: range.from, toStep: range.to } : {};
    const curves = await this.#ask(() =>
      this.#host.call("runCurves", { folder: run.folder, sae: sae.id, points, ...steps }),
    );
    if (!curves) this.#asked.delete(key);
    // An answer that came too late is not drawn over a newer one.
    else if (this.#asked.get(key) === wanted)
      this.#set({ curves: new Map(this.#state.curves).set(key, curves) });
  }

  async #ask<T>(call: () => Promise<T>): Promise<T | undefined> {
    try {
      return await call();
    } catch (error) {
      if ((error as Error).name !== "AbortError")
        this.#set({ problem: error instanceof Error ? error.message : String(error) });
      return undefined;
    }
  }

  #set(change: Partial<TrainState>): void {
    this.#state = { ...this.#state, ...change };
    const { folder, shown, showsTables } = this.#state;
    this.#remember({ folder, shown, showsTables });
    this.#onChange();
  }
}

function keyOf(run: RunInfo, sae: RunSae): string {
  return `${run.folder}\n${sae.id}`;
}
