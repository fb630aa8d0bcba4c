/** L-BFGS: Liu and Nocedal 1989; Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 7.5. */

/** A function's value and gradient. */
export type Objective = (at: Float64Array) => { value: number; gradient: Float64Array };

const memory = 10;
/** Sufficient decrease, and the curvature condition of a line search. */
const [decrease, curvature] = [1e-4, 0.9];
/**
 * Values that differ by less than this share are the same: products in float32 know a loss no better. Near a minimum the slopes
 * alone then say whether a step is good (Hager and Zhang 2005, SIAM J. Optim. 16(1), the approximate Wolfe conditions).
 */
const valueNoise = 1e-7;

/** A local minimum, to where no partial derivative is larger than `tolerance`. */
export function minimize(
  objective: Objective,
  start: Float64Array,
  { maxIterations, tolerance }: { maxIterations: number; tolerance: number },
): Float64Array {
  let x = start;
  let { value, gradient } = objective(x);
  const pairs: { s: Float64Array; y: Float64Array; rho: number }[] = [];
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    if (gradient.every((it) => Math.abs(it) <= tolerance)) break;
    const direction = descent(gradient, pairs);
    const first = pairs.length === 0 ? 1 / Math.max(1, Math.sqrt(inner(gradient, gradient))) : 1;
    const next = search(objective, { x, value, gradient, direction, first });
    if (!next) break;
    const s = next.x.map((it, i) => it - x[i]!);
    const y = next.gradient.map((it, i) => it - gradient[i]!);
    const sy = inner(s, y);
    if (sy > 1e-12 * inner(y, y)) {
      pairs.push({ s, y, rho: 1 / sy });
      if (pairs.length > memory) pairs.shift();
    }
    ({ x, value, gradient } = next);
  }
  return x;
}

/** −H·gradient, H from the last steps. */
function descent(
  gradient: Float64Array,
  pairs: readonly { s: Float64Array; y: Float64Array; rho: number }[],
): Float64Array {
  const q = gradient.slice();
  const alphas: number[] = [];
  for (const { s, y, rho } of pairs.toReversed()) {
    const alpha = rho * inner(s, q);
    alphas.unshift(alpha);
    addTo(q, y, -alpha);
  }
  const last = pairs.at(-1);
  if (last) {
    const scale = 1 / (last.rho * inner(last.y, last.y));
    for (let i = 0; i < q.length; i++) q[i]! *= scale;
  }
  for (const [at, { s, y, rho }] of pairs.entries()) addTo(q, s, alphas[at]! - rho * inner(y, q));
  return q.map((it) => -it);
}

interface Point {
  readonly x: Float64Array;
  readonly value: number;
  readonly gradient: Float64Array;
}

/** A step that meets Wolfe's conditions, by halving and doubling between bounds. */
function search(
  objective: Objective,
  { x, value, gradient, direction, first }: Point & { direction: Float64Array; first: number },
): Point | undefined {
  const slope = inner(gradient, direction);
  if (slope >= 0) return undefined;
  let [low, high, step] = [0, Number.POSITIVE_INFINITY, first];
  let best: Point | undefined;
  for (let trial = 0; trial < 30; trial++) {
    const at = x.map((it, i) => it + step * direction[i]!);
    const found = objective(at);
    const slopeThere = inner(found.gradient, direction);
    const isLower =
      found.value <= value + decrease * step * slope ||
      (found.value <= value + valueNoise * Math.abs(value) &&
        slopeThere <= (2 * decrease - 1) * slope);
    if (!isLower) high = step;
    else {
      best = { x: at, ...found };
      if (slopeThere >= curvature * slope) return best;
      low = step;
    }
    step = Number.isFinite(high) ? (low + high) / 2 : step * 2;
  }
  return best;
}

function inner(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function addTo(to: Float64Array, what: Float64Array, factor: number): void {
  for (let i = 0; i < to.length; i++) to[i]! += factor * what[i]!;
}
