/** Permutations that are a function of a few numbers. */

/**
 * A permutation of 0 … n − 1, the same on every machine for the same seed, purpose and index: Fisher and Yates' shuffle with
 * xoshiro128** (Blackman and Vigna 2018, arXiv:1805.01407), whose 128 bits of state are made from the three numbers by
 * murmur3's finalizer. `-> [n]`
 */
export function permutation(n: number, seed: number, purpose: number, index: number): Int32Array {
  const next = randomBits(seed, purpose, index);
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let last = n - 1; last > 0; last--) {
    const other = below(last + 1, next);
    const kept = order[last]!;
    order[last] = order[other]!;
    order[other] = kept;
  }
  return order;
}

/** Uniform on 0 … n − 1, without the bias of a remainder. */
function below(n: number, next: () => number): number {
  const limit = 2 ** 32 - (2 ** 32 % n);
  let bits = next();
  while (bits >= limit) bits = next();
  return bits % n;
}

/** 32 random bits a call. */
function randomBits(...key: readonly number[]): () => number {
  const state = Uint32Array.from({ length: 4 }, (_, i) => hash([...key, i]));
  return () => {
    const result = Math.imul(rotate(Math.imul(state[1]!, 5), 7), 9) >>> 0;
    const shifted = state[1]! << 9;
    state[2]! ^= state[0]!;
    state[3]! ^= state[1]!;
    state[1]! ^= state[2]!;
    state[0]! ^= state[3]!;
    state[2]! ^= shifted;
    state[3] = rotate(state[3]!, 11);
    return result;
  };
}

function rotate(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}

function hash(key: readonly number[]): number {
  let mixed = 0x9e3779b9;
  for (const number of key) {
    // Both halves of a number beyond 32 bits count.
    for (const half of [number % 2 ** 32, Math.floor(number / 2 ** 32)]) {
      mixed = Math.imul(mixed ^ half, 0x85ebca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
      mixed ^= mixed >>> 16;
    }
  }
  return mixed >>> 0;
}
