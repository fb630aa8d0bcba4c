/** Random numbers as a function of seeds: the same on every machine, and after every resume. */

/** A generator of its own for each list of seeds. */
export class SeededRandom {
  #state: number;
  #spare: number | undefined;

  /** Numbers are mixed in one after the other, e.g. a run's seed, then a step. */
  constructor(...seeds: readonly number[]) {
    this.#state = 0x9e3779b9;
    for (const seed of seeds) {
      this.#state = mix((this.#state ^ Math.floor(seed)) >>> 0);
      this.#state = mix((this.#state + Math.floor(seed / 2 ** 32)) >>> 0);
    }
  }

  /** Uniform in [0, 1), with 32 random bits. */
  uniform(): number {
    // A Weyl sequence through a mixing function (the 32-bit finaliser of MurmurHash3).
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    return mix(this.#state) / 2 ** 32;
  }

  /** Standard normal, by Box and Muller's transformation. */
  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** `count` different indices, each drawn with a chance in proportion to what is left of the weights. */
  draw(weights: Float64Array, count: number): number[] {
    // Efraimidis and Spirakis 2006: the largest u^(1/w).
    const keys = Array.from(weights, (weight, index) => {
      const u = this.uniform();
      return { index, key: weight > 0 ? Math.log(1 - u) / weight : -Infinity };
    });
    keys.sort((a, b) => b.key - a.key || a.index - b.index);
    return keys.slice(0, count).map(({ index }) => index);
  }
}

/** Uniform numbers in [0, 1) from one seed. */
export function seeded(seed: number): () => number {
  const random = new SeededRandom(seed);
  return () => random.uniform();
}

/** The 32-bit finaliser of MurmurHash3 (Appleby, public domain): every bit of the result depends on every bit of h. */
function mix(h: number): number {
  let x = h >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
