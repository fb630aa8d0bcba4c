/**
 * What latents read of two texts whose tokens are aligned. Everything here is arithmetic on readings: which latents appear, vanish
 * and change, at each token and over all.
 */
import type {
  ChangeCounts,
  ChangeKind,
  ComparedRow,
  Distance,
  LatentChange,
  LatentTotals,
  TokenChange,
} from "../../protocol/comparison.ts";
import type { SaeReading } from "../../protocol/reader.ts";

/**
 * Differences below this share of the token's largest activation are rounding: in float32, the same prefix read in pieces of
 * another length differs by that much.
 */
const rounding = 1e-4;

/** A reading with the position of each token, 0 for the first that the model sees. */
export interface SideReading {
  readonly sae: SaeReading;
  readonly position: Int32Array;
}

/** A token of both texts, or of one. */
export interface AlignedToken {
  readonly before?: number;
  readonly after?: number;
}

/** Active latents of a token by index. */
export function latentsAt({ sae }: SideReading, token: number | undefined): Map<number, number> {
  const found = new Map<number, number>();
  if (token === undefined) return found;
  for (let at = sae.offsets[token] ?? 0; at < (sae.offsets[token + 1] ?? 0); at++)
    found.set(sae.latents[at] as number, sae.acts[at] as number);
  return found;
}

/** Latents that differ between two tokens by more than rounding, the largest differences first. */
export function changesBetween(
  before: ReadonlyMap<number, number>,
  after: ReadonlyMap<number, number>,
): TokenChange[] {
  const changes: TokenChange[] = [];
  let largest = 0;
  for (const act of [...before.values(), ...after.values()])
    largest = Math.max(largest, Math.abs(act));
  for (const latent of new Set([...before.keys(), ...after.keys()])) {
    const change = { latent, before: before.get(latent) ?? 0, after: after.get(latent) ?? 0 };
    if (sizeOf(change) > rounding * largest) changes.push(change);
  }
  return changes.toSorted((a, b) => sizeOf(b) - sizeOf(a));
}

/** Sums that make a distance. */
export class DistanceSum {
  #change = 0;
  #whole = 0;

  /** Adds a token: what changed there, and all that is active. */
  add(
    changes: readonly TokenChange[],
    before: ReadonlyMap<number, number>,
    after: ReadonlyMap<number, number>,
  ): void {
    for (const change of changes) this.#change += sizeOf(change);
    for (const act of [...before.values(), ...after.values()]) this.#whole += Math.abs(act);
  }

  result(): Distance {
    const dissimilarity = this.#whole === 0 ? 0 : this.#change / this.#whole;
    return { change: this.#change, dissimilarity };
  }
}

/** What two readings come to. */
export interface Comparison extends Distance {
  readonly rows: readonly ComparedRow[];
  readonly latents: readonly LatentChange[];
  readonly counts: ChangeCounts;
}

/**
 * Compares two readings along aligned tokens.
 *
 * A token at position 0 in either text counts nowhere: models use it as a place to look at when nothing else is to be looked at, and
 * its activations are of another size.
 */
export function compareRows(
  before: SideReading,
  after: SideReading,
  rows: readonly AlignedToken[],
  options: { readonly sharedOnly: boolean; readonly top: number; readonly topPerToken: number },
): Comparison {
  const latents = new Map<number, LatentSum>();
  const whole = new DistanceSum();
  const compared = rows.map((row, index): ComparedRow => {
    const counts = !isFirst(before, row.before) && !isFirst(after, row.after);
    const [a, b] = [latentsAt(before, row.before), latentsAt(after, row.after)];
    const shared = row.before !== undefined && row.after !== undefined;
    const changes = counts ? changesBetween(a, b) : [];
    const own = new DistanceSum();
    if (counts) own.add(changes, a, b);
    if (counts && (shared || !options.sharedOnly)) {
      whole.add(changes, a, b);
      for (const latent of new Set([...a.keys(), ...b.keys()])) {
        const sum = latents.get(latent) ?? new LatentSum();
        latents.set(latent, sum);
        sum.see(a.get(latent) ?? 0, b.get(latent) ?? 0);
      }
      for (const change of changes) latents.get(change.latent)?.changed(index, change);
    }
    const shown = shared ? changes.slice(0, options.topPerToken) : [];
    return { ...row, counts, ...own.result(), latents: shown };
  });
  const changed = [...latents]
    .filter(([, sum]) => sum.change > 0)
    .map(([latent, sum]) => sum.result(latent))
    .toSorted((a, b) => b.change - a.change);
  return {
    ...whole.result(),
    rows: compared,
    latents: largestOfEachKind(changed, options.top),
    counts: countsOf(changed),
  };
}

/** The first `top` of each kind, in the order that they have: what appears is seldom what changes most. */
function largestOfEachKind(changed: readonly LatentChange[], top: number): LatentChange[] {
  const seen = { appears: 0, vanishes: 0, changes: 0 };
  return changed.filter(({ kind }) => seen[kind]++ < top);
}

/** Appears, vanishes or changes, from how often or how much it is active in both. */
export function kindOf(before: number, after: number): ChangeKind {
  if (before === 0) return "appears";
  return after === 0 ? "vanishes" : "changes";
}

/** How many of each kind. */
export function countsOf(list: readonly { readonly kind: ChangeKind }[]): ChangeCounts {
  const counts = { appears: 0, vanishes: 0, changes: 0 };
  for (const { kind } of list) counts[kind]++;
  return counts;
}

/** |after − before|. */
export function sizeOf({ before, after }: { before: number; after: number }): number {
  return Math.abs(after - before);
}

function isFirst({ position }: SideReading, token: number | undefined): boolean {
  return token !== undefined && position[token] === 0;
}

class LatentSum {
  change = 0;
  readonly #before = { tokens: 0, max: 0, sum: 0 };
  readonly #after = { tokens: 0, max: 0, sum: 0 };
  #strongest = { row: -1, before: 0, after: 0 };

  see(before: number, after: number): void {
    addTo(this.#before, before);
    addTo(this.#after, after);
  }

  changed(row: number, { before, after }: TokenChange): void {
    this.change += sizeOf({ before, after });
    if (this.#strongest.row < 0 || sizeOf({ before, after }) > sizeOf(this.#strongest))
      this.#strongest = { row, before, after };
  }

  result(latent: number): LatentChange {
    const [before, after] = [this.#before, this.#after];
    return {
      latent,
      kind: kindOf(before.tokens, after.tokens),
      before,
      after,
      change: this.change,
      strongest: this.#strongest,
    };
  }
}

function addTo(totals: { -readonly [K in keyof LatentTotals]: number }, act: number): void {
  if (act === 0) return;
  totals.tokens++;
  totals.sum += act;
  // Of architectures with negative activations, the one that is furthest from 0.
  if (Math.abs(act) > Math.abs(totals.max)) totals.max = act;
}
