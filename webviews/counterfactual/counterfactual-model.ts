/** What the counterfactual page knows: the map, and which of its cells is looked at. */
import type {
  ComparisonHostMethods,
  ComparisonMethods,
  CounterfactualCell,
  CounterfactualText,
  CounterfactualView,
} from "../../server/protocol/comparison.ts";
import type { Caller } from "../../server/protocol/rpc.ts";
import { AskingModel } from "../comparison/asking-model.ts";

/** What the page may call. */
export type CounterfactualTable = Pick<ComparisonMethods, "counterfactualText"> &
  ComparisonHostMethods<CounterfactualText>;

/** A place of the map. */
export interface CellPlace {
  readonly leftOut: number;
  readonly affected: number;
}

/** The page's state and what changes it. */
export class CounterfactualModel extends AskingModel<CounterfactualText, CounterfactualView> {
  readonly #caller: Pick<Caller<CounterfactualTable>, "call">;
  #chosen: CellPlace | undefined;
  #byPlace = new Map<string, CounterfactualCell>();
  #view: CounterfactualView | undefined;

  constructor(caller: Pick<Caller<CounterfactualTable>, "call">, onChange: () => void) {
    super(caller, onChange);
    this.#caller = caller;
  }

  protected answer(asked: CounterfactualText, signal: AbortSignal): Promise<CounterfactualView> {
    return this.#caller.call("counterfactualText", asked, signal);
  }

  protected forget(): void {
    this.#chosen = undefined;
  }

  /** The cell of a place; the map is empty on and below its diagonal, because a model reads forwards. */
  cell({ leftOut, affected }: CellPlace): CounterfactualCell | undefined {
    const { view } = this.state;
    if (view !== this.#view) {
      this.#view = view;
      this.#byPlace = new Map((view?.cells ?? []).map((it) => [keyOf(it), it]));
    }
    return this.#byPlace.get(keyOf({ leftOut, affected }));
  }

  /** The cell whose latents are listed: the chosen one, else the one that changes most. */
  get chosen(): CounterfactualCell | undefined {
    const cells = this.state.view?.cells ?? [];
    if (this.#chosen) return this.cell(this.#chosen);
    return cells.toSorted((a, b) => b.dissimilarity - a.dissimilarity)[0];
  }

  /** Lists the latents of a cell. */
  choose(place: CellPlace): void {
    if (!this.cell(place)) return;
    this.#chosen = place;
    this.set({});
  }

  /** Goes to a neighbour of the chosen cell; where there is none, nowhere. */
  step(down: number, right: number): void {
    const from = this.chosen;
    if (from) this.choose({ leftOut: from.leftOut + down, affected: from.affected + right });
  }
}

function keyOf({ leftOut, affected }: CellPlace): string {
  return `${leftOut} ${affected}`;
}
