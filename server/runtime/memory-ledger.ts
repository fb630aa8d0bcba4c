/**
 * The plan of what a device's memory holds, against the user's budget. It plans and refuses; it allocates nothing.
 */
import { assert } from "../base/errors.ts";
import type { MemoryItem, MemoryStatus } from "../protocol/reader.ts";
import { doesNotFit } from "./errors.ts";

/** Bytes by what they are for. */
export class MemoryLedger {
  readonly budget: number;
  readonly #planned = new Map<string, number>();

  constructor(budget: number) {
    this.budget = budget;
  }

  /** Enters (or replaces) a line of the plan. */
  plan(what: string, bytes: number): void {
    assert(bytes >= 0, `${what} takes ${bytes} bytes`);
    this.#planned.set(what, bytes);
  }

  /** Removes a line; one that is not there is no mistake. */
  release(what: string): void {
    this.#planned.delete(what);
  }

  /**
   * Throws a user error with the table of everything planned when these items would not fit beside it. An item that
   * is planned already replaces its line.
   */
  require(items: readonly MemoryItem[]): void {
    const all = new Map(this.#planned);
    for (const { what, bytes } of items) all.set(what, bytes);
    const table = [...all].map(([what, bytes]) => ({ what, bytes }));
    if (sum(table) > this.budget) throw doesNotFit(table, this.budget);
  }

  /** Bytes of the whole plan. */
  get plannedBytes(): number {
    return sum(this.#items());
  }

  status(): MemoryStatus {
    return {
      budget: this.budget,
      planned: this.#items(),
      residentBytes: process.memoryUsage.rss(),
    };
  }

  #items(): MemoryItem[] {
    return [...this.#planned].map(([what, bytes]) => ({ what, bytes }));
  }
}

function sum(items: readonly MemoryItem[]): number {
  return items.reduce((total, { bytes }) => total + bytes, 0);
}
