/**
 * What the page "Toy Models" knows and asks for, without drawing: the knobs as they stand, the run that is under way, the
 * results that are kept.
 */
import { unreachable } from "../../server/base/errors.ts";
import type { Caller } from "../../server/protocol/rpc.ts";
import type { ToyKnobs, ToyMethods, ToyPageEvents, ToyResult } from "../../server/protocol/toy.ts";
import { coefficientArchitectures } from "../../server/protocol/toy.ts";

/** Where calls go. */
export type ToyHost = Pick<Caller<ToyMethods>, "call">;

/** The knobs of the page; all of them have a value. */
export interface Knobs {
  readonly features: number;
  readonly parents: number;
  readonly children: number;
  readonly hierarchy: number;
  readonly coOccurrence: number;
  readonly architecture: NonNullable<ToyKnobs["architecture"]>;
  readonly l1: number;
  /** 0: as many as features are active. */
  readonly k: number;
  readonly tied: boolean;
  readonly adversary: number;
  /** Latents for each feature. */
  readonly latents: number;
  readonly steps: number;
  readonly seed: number;
}

/** What can be varied over a series of runs. */
export type Varied = "nothing" | "sparsity" | "hierarchy" | "coOccurrence" | "latents" | "seed";

/** A result that is kept. */
export interface Kept {
  readonly id: number;
  readonly knobs: Knobs;
  readonly result: ToyResult;
}

/** A run under way, one of a series. */
export interface Running {
  readonly text: string;
  /** Share of the series that is done. */
  readonly fraction: number;
  readonly at: number;
  readonly of: number;
}

/** What the page remembers over a reload of the window. */
export interface Remembered {
  readonly knobs: Knobs;
  readonly varied: Varied;
  readonly kept: readonly Kept[];
  readonly showsTables: boolean;
  readonly showsEncoder: boolean;
}

/** Everything that is drawn. */
export interface ToyState extends Remembered {
  readonly running?: Running | undefined;
  readonly problem?: string | undefined;
}

/** Values of sliders whose steps grow with the value. */
export const l1Values = [0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5] as const;
/** As above; 0 is off. */
export const adversaryValues = [0, 0.01, 0.03, 0.1, 0.3, 1] as const;

/** What is shown at first: a hierarchy, and a standard SAE that absorbs it. */
export const firstKnobs: Knobs = {
  features: 12,
  parents: 2,
  children: 2,
  hierarchy: 1,
  coOccurrence: 0,
  architecture: "standard",
  l1: 0.1,
  k: 0,
  tied: false,
  adversary: 0,
  latents: 1,
  steps: 2000,
  seed: 0,
};

/** As many results as are still told apart; the oldest gives way. */
export const mostKept = 12;

/** The model; `onChange` is told after every change of `state`. */
export class ToyModel {
  readonly #host: ToyHost;
  readonly #onChange: () => void;
  readonly #remember: (remembered: Remembered) => void;
  #state: ToyState;
  #controller: AbortController | undefined;

  constructor(
    host: ToyHost,
    remembered: Partial<Remembered> | undefined,
    listeners: { onChange: () => void; remember: (remembered: Remembered) => void },
  ) {
    this.#host = host;
    this.#onChange = listeners.onChange;
    this.#remember = listeners.remember;
    this.#state = {
      knobs: { ...firstKnobs, ...remembered?.knobs },
      varied: remembered?.varied ?? "nothing",
      kept: remembered?.kept ?? [],
      showsTables: remembered?.showsTables ?? false,
      showsEncoder: remembered?.showsEncoder ?? false,
    };
  }

  get state(): ToyState {
    return this.#state;
  }

  /** Turns knobs. */
  turn(change: Partial<Knobs>): void {
    this.#set({ knobs: { ...this.#state.knobs, ...change } });
  }

  /** Changes what is varied, or how results are shown. */
  show(change: Partial<Pick<ToyState, "varied" | "showsTables" | "showsEncoder">>): void {
    this.#set(change);
  }

  /** Trains with the knobs as they stand, once for each value of what is varied. */
  async train(): Promise<void> {
    if (this.#controller) return;
    const controller = new AbortController();
    this.#controller = controller;
    const series = seriesOf(this.#state.knobs, this.#state.varied);
    this.#set({ problem: undefined });
    try {
      for (const [at, knobs] of series.entries()) {
        const of = series.length;
        this.#set({ running: { text: "starting", fraction: at / of, at, of } });
        const result = await this.#host.call("runToy", asked(knobs), controller.signal);
        const id = 1 + Math.max(0, ...this.#state.kept.map((it) => it.id));
        this.#set({ kept: [...this.#state.kept, { id, knobs, result }].slice(-mostKept) });
      }
    } catch (error) {
      if ((error as Error).name !== "AbortError")
        this.#set({ problem: error instanceof Error ? error.message : String(error) });
    } finally {
      this.#controller = undefined;
      this.#set({ running: undefined });
    }
  }

  /** Ends the run that is under way, and the rest of its series. */
  cancel(): void {
    this.#controller?.abort();
  }

  /** News of the run that is under way. */
  progress({ text, fraction }: ToyPageEvents["progress"]): void {
    const { running } = this.#state;
    if (!running) return;
    const { at, of } = running;
    this.#set({ running: { text, fraction: (at + fraction) / of, at, of } });
  }

  /** Puts a result away; all without an id. */
  forget(id?: number): void {
    this.#set({ kept: this.#state.kept.filter((it) => id !== undefined && it.id !== id) });
  }

  #set(change: Partial<ToyState>): void {
    this.#state = { ...this.#state, ...change };
    const { knobs, varied, kept, showsTables, showsEncoder } = this.#state;
    this.#remember({ knobs, varied, kept, showsTables, showsEncoder });
    this.#onChange();
  }
}

/** Whether the sparsity of an architecture is bought by a coefficient; else it has k. */
export function hasCoefficient({ architecture }: Pick<Knobs, "architecture">): boolean {
  return coefficientArchitectures.includes(architecture);
}

/** Knobs of a series of runs that vary one thing. */
export function seriesOf(knobs: Knobs, varied: Varied): Knobs[] {
  switch (varied) {
    case "nothing":
      return [knobs];
    case "sparsity":
      return hasCoefficient(knobs)
        ? [0.003, 0.01, 0.05, 0.2].map((l1) => ({ ...knobs, l1 }))
        : [1, 1.5, 2, 3].map((k) => ({ ...knobs, k }));
    case "hierarchy":
      return [0, 0.5, 0.9, 1].map((hierarchy) => ({ ...knobs, hierarchy }));
    case "coOccurrence":
      return [0, 0.5, 0.9, 1].map((coOccurrence) => ({ ...knobs, coOccurrence }));
    case "latents":
      return [0.5, 1, 2, 3].map((latents) => ({ ...knobs, latents }));
    case "seed":
      return [0, 1, 2, 3].map((more) => ({ ...knobs, seed: knobs.seed + more }));
    default:
      return unreachable(varied);
  }
}

/** What is asked of the server: only what the architecture has. */
function asked(knobs: Knobs): ToyKnobs {
  const { l1, k, latents, adversary, ...rest } = knobs;
  return {
    ...rest,
    latents: Math.max(1, Math.round(latents * knobs.features)),
    ...(hasCoefficient(knobs) ? { l1 } : k > 0 ? { k } : {}),
    ...(adversary > 0 ? { adversary } : {}),
  };
}
