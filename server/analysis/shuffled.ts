import type { SeededRandom } from "../base/seeded-random.ts";

/** 0 … n − 1 in random order (Fisher and Yates), or in order without a generator. */
export function shuffled(n: number, random?: SeededRandom): Int32Array {
  const order = Int32Array.from({ length: n }, (_, i) => i);
  if (!random) return order;
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(random.uniform() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
