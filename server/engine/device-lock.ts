/**
 * Lets one job at a time use the device, urgent jobs before background ones.
 *
 * ONNX Runtime blocks its thread while a graph runs, so two jobs never gain from overlapping; what matters is
 * that a hover gets in between the pieces of a self-check.
 */
export class DeviceLock {
  #busy = false;
  readonly #urgent: (() => void)[] = [];
  readonly #background: (() => void)[] = [];

  /** Runs `job` when the device is free; throws the signal's reason if cancelled while waiting. */
  async run<T>(
    job: () => Promise<T>,
    options: { background?: boolean; signal?: AbortSignal | undefined } = {},
  ): Promise<T> {
    await this.#enter(options.background ? this.#background : this.#urgent);
    try {
      options.signal?.throwIfAborted();
      return await job();
    } finally {
      this.#leave();
    }
  }

  /** In the middle of a background job: lets urgent jobs that wait go first, and goes on after them. */
  async giveWay(signal?: AbortSignal): Promise<void> {
    if (this.#urgent.length > 0) {
      const again = new Promise<void>((resolve) => this.#background.unshift(resolve));
      this.#leave();
      await again;
    }
    signal?.throwIfAborted();
  }

  #enter(queue: (() => void)[]): Promise<void> {
    if (!this.#busy) {
      this.#busy = true;
      return Promise.resolve();
    }
    return new Promise((resolve) => queue.push(resolve));
  }

  #leave(): void {
    const next = this.#urgent.shift() ?? this.#background.shift();
    if (next) next();
    else this.#busy = false;
  }
}
