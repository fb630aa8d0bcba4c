/** The tokens of a corpus as an index sees them: numbered through all windows, some of them left out of every count. */
import type { TokenWindows } from "../../store/token-windows.ts";

/** Which tokens do not count. */
export interface CountedPolicy {
  /** Positions at a window's start: position 0 is an outlier in most models. */
  readonly skipPositions: number;
  /** Ids of special tokens, if they are left out. */
  readonly special: ReadonlySet<number>;
}

/** Token windows with what is asked of them for every active latent. */
export class CorpusTokens {
  readonly windows: TokenWindows;
  /** Tokens that count. */
  readonly counted: number;
  /** How often each vocabulary entry counts. `[d_vocab]` */
  readonly frequency: Uint32Array;
  readonly #policy: CountedPolicy;
  /** The window of each token: a lookup for every entry, where searching would cost 16 steps. */
  readonly #windowOf: Uint32Array;

  constructor(windows: TokenWindows, d_vocab: number, policy: CountedPolicy) {
    this.windows = windows;
    this.#policy = policy;
    this.#windowOf = new Uint32Array(windows.tokens);
    this.frequency = new Uint32Array(d_vocab);
    let counted = 0;
    for (let window = 0; window < windows.count; window++) {
      const start = windows.start(window);
      const end = windows.start(window + 1);
      this.#windowOf.fill(window, start, end);
      for (let place = start; place < end; place++) {
        const id = windows.idAt(place);
        if (!this.counts(place - start, id)) continue;
        counted++;
        this.frequency[id]!++;
      }
    }
    this.counted = counted;
  }

  /** Whether a token at a position of its window counts. */
  counts(position: number, id: number): boolean {
    return position >= this.#policy.skipPositions && !this.#policy.special.has(id);
  }

  /** The window of a token. */
  windowOf(place: number): number {
    return this.#windowOf[place]!;
  }

  /** First token of a window, and the one after its last. */
  bounds(window: number): readonly [from: number, to: number] {
    return [this.windows.start(window), this.windows.start(window + 1)];
  }
}
