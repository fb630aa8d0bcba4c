const window = 3 * 60_000;
const most = 4;

/** Decides whether a server that ended is started again: not when it ended five times within three minutes. */
export class RestartPolicy {
  #ends: number[] = [];

  /** Notes an end at `now` (milliseconds) and says whether to restart. */
  mayRestart(now: number): boolean {
    this.#ends = [...this.#ends.filter((end) => now - end < window), now];
    return this.#ends.length <= most;
  }
}
