/** What the comparison page knows: both texts aligned, and which of their latents are listed. */
import type {
  ChangeKind,
  ComparedRow,
  CompareTexts,
  ComparisonHostMethods,
  ComparisonMethods,
  ComparisonView,
  LatentChange,
} from "../../server/protocol/comparison.ts";
import type { Caller } from "../../server/protocol/rpc.ts";
import { AskingModel } from "./asking-model.ts";

/** What the page may call. */
export type ComparisonTable = Pick<ComparisonMethods, "compareTexts"> &
  ComparisonHostMethods<CompareTexts>;

/** Rows without a change that are drawn before and after those with one. */
const around = 4;

/** Rows that are drawn, or a number of them that are not because nothing changes there. */
export type ShownRows =
  | { readonly kind: "rows"; readonly from: number; readonly to: number }
  | { readonly kind: "folded"; readonly from: number; readonly to: number };

/** The page's state and what changes it. */
export class ComparisonModel extends AskingModel<CompareTexts, ComparisonView> {
  readonly #caller: Pick<Caller<ComparisonTable>, "call">;
  /** The kind of latents that alone are listed. */
  kind: ChangeKind | undefined;
  /** The row whose latents are listed. */
  row: number | undefined;
  readonly #unfolded = new Set<number>();

  constructor(caller: Pick<Caller<ComparisonTable>, "call">, onChange: () => void) {
    super(caller, onChange);
    this.#caller = caller;
  }

  protected answer(asked: CompareTexts, signal: AbortSignal): Promise<ComparisonView> {
    return this.#caller.call("compareTexts", asked, signal);
  }

  protected forget(): void {
    this.row = undefined;
    this.#unfolded.clear();
  }

  /** Lists latents of one kind, or all. */
  show(kind: ChangeKind | undefined): void {
    this.kind = kind;
    this.set({});
  }

  /** Lists the latents of one row, or no longer, and shows its token in the editor. */
  choose(row: number): void {
    this.row = this.row === row ? undefined : row;
    this.set({});
    if (this.row !== undefined) this.revealRow(row);
  }

  /** Shows a row's token in the editor: in the second text, or in the first where the second lacks it. */
  revealRow(index: number): void {
    const { view } = this.state;
    const row = view?.rows[index];
    if (!view || !row) return;
    if (row.after === undefined) this.reveal(0, view.before[row.before ?? -1]);
    else this.reveal(1, view.after[row.after]);
  }

  /** Draws a stretch that was folded. */
  unfold(from: number): void {
    this.#unfolded.add(from);
    this.set({});
  }

  /** The latents that are listed. */
  get latents(): readonly LatentChange[] {
    const { latents } = this.state.view ?? { latents: [] };
    return latents.filter(({ kind }) => this.kind === undefined || kind === this.kind);
  }

  /** All rows in stretches. */
  get stretches(): ShownRows[] {
    return stretchesOf(this.state.view?.rows ?? [], this.#unfolded);
  }
}

/** Cuts rows into stretches that are drawn and stretches where nothing changes, which are folded unless `unfolded`. */
export function stretchesOf(
  rows: readonly ComparedRow[],
  unfolded: ReadonlySet<number> = new Set(),
): ShownRows[] {
  const stretches: ShownRows[] = [];
  const add = (kind: ShownRows["kind"], from: number, to: number): void => {
    if (to <= from) return;
    const last = stretches.at(-1);
    if (last?.kind === "rows" && kind === "rows") stretches[stretches.length - 1] = { ...last, to };
    else stretches.push({ kind, from, to });
  };
  const changed = [...rows.entries()].filter(([, row]) => isChanged(row)).map(([index]) => index);
  let at = 0;
  for (const [order, next] of [...changed, rows.length].entries()) {
    // Between two changes both borders are drawn, at the beginning and end of the text only one.
    const from = order === 0 ? at : at + around;
    const to = next === rows.length ? next : next - around;
    if (to - from > around && !unfolded.has(from)) {
      add("rows", at, from);
      add("folded", from, to);
      add("rows", to, Math.min(rows.length, next + 1));
    } else add("rows", at, Math.min(rows.length, next + 1));
    at = next + 1;
  }
  return stretches;
}

function isChanged({ before, after, change }: ComparedRow): boolean {
  return change > 0 || before === undefined || after === undefined;
}
