/**
 * Symbolic dimensions. A dimension is a number or the name of one that is known only when the graph runs
 * ("tokens", "past"); sums and products of dimensions are polynomials with integer coefficients, printed in one
 * canonical way ("past+tokens", "2*tokens", "tokens-1"), so that equal dimensions are equal strings.
 */

/** A dimension: a number, a name, or a canonical sum of products of names. */
export type Dim = number | string;

/** Coefficient of each product of names; a product is its sorted names joined by "*", the constant's is "". */
type Polynomial = Map<string, number>;

/** The canonical spelling of a dimension as somebody wrote it: "tokens + past" is "past+tokens". */
export function canonicalDim(dim: Dim): Dim {
  return typeof dim === "number" ? dim : printPolynomial(parsePolynomial(dim));
}

/** Sum of dimensions. */
export function addDims(...dims: readonly Dim[]): Dim {
  const sum: Polynomial = new Map();
  for (const dim of dims) {
    for (const [product, n] of parsePolynomial(dim)) sum.set(product, (sum.get(product) ?? 0) + n);
  }
  return printPolynomial(sum);
}

/** Difference of two dimensions. */
export function subtractDims(a: Dim, b: Dim): Dim {
  return addDims(a, multiplyDims([-1, b]));
}

/** Product of dimensions; 1 for none. */
export function multiplyDims(dims: readonly Dim[]): Dim {
  let result: Polynomial = new Map([["", 1]]);
  for (const dim of dims) {
    const next: Polynomial = new Map();
    for (const [a, n] of result) {
      for (const [b, m] of parsePolynomial(dim)) {
        const names = [...namesOf(a), ...namesOf(b)].sort().join("*");
        next.set(names, (next.get(names) ?? 0) + n * m);
      }
    }
    result = next;
  }
  return printPolynomial(result);
}

/** Quotient of two products of dimensions, or undefined if it is not known to be a whole number. */
export function divideDims(
  numerators: readonly Dim[],
  denominators: readonly Dim[],
): Dim | undefined {
  const over = [...numerators];
  const under: Dim[] = [];
  for (const dim of denominators) {
    const at = over.indexOf(dim);
    if (at >= 0) over.splice(at, 1);
    else under.push(dim);
  }
  const divisor = [...parsePolynomial(multiplyDims(under))];
  if (divisor.length !== 1) return undefined;
  const [names, n] = divisor[0]!;
  const quotient: Polynomial = new Map();
  for (const [product, m] of parsePolynomial(multiplyDims(over))) {
    const rest = namesOf(product);
    for (const name of namesOf(names)) {
      const at = rest.indexOf(name);
      if (at < 0) return undefined;
      rest.splice(at, 1);
    }
    if (m % n !== 0) return undefined;
    quotient.set(rest.join("*"), m / n);
  }
  return printPolynomial(quotient);
}

/** The value of a dimension when its names have these values, or undefined if a name has none. */
export function evaluateDim(dim: Dim, values: ReadonlyMap<string, number>): number | undefined {
  return dimEvaluator(dim)(values);
}

/** `evaluateDim` of one dimension, for where it is asked at every run: the dimension is read once. */
export function dimEvaluator(
  dim: Dim,
): (values: ReadonlyMap<string, number>) => number | undefined {
  if (typeof dim === "number") return () => dim;
  const terms = [...parsePolynomial(dim)].map(([product, n]) => ({ n, names: namesOf(product) }));
  return (values) => {
    let sum = 0;
    for (const { n, names } of terms) {
      let term = n;
      for (const name of names) {
        const value = values.get(name);
        if (value === undefined) return undefined;
        term *= value;
      }
      sum += term;
    }
    return sum;
  };
}

/** Prints a shape: "[tokens, 576]". */
export function printDims(dims: readonly Dim[]): string {
  return `[${dims.join(", ")}]`;
}

function namesOf(product: string): string[] {
  return product === "" ? [] : product.split("*");
}

function parsePolynomial(dim: Dim): Polynomial {
  if (typeof dim === "number") return new Map(dim === 0 ? [] : [["", dim]]);
  const result: Polynomial = new Map();
  for (const [, sign, text] of dim.replaceAll(" ", "").matchAll(/([+-]?)([^+-]+)/g)) {
    let n = sign === "-" ? -1 : 1;
    const names: string[] = [];
    for (const factor of text!.split("*")) {
      if (/^\d+$/.test(factor)) n *= Number(factor);
      else names.push(factor);
    }
    const product = names.sort().join("*");
    result.set(product, (result.get(product) ?? 0) + n);
  }
  return result;
}

function printPolynomial(polynomial: Polynomial): Dim {
  const terms = [...polynomial].filter(([, n]) => n !== 0);
  if (terms.length === 0) return 0;
  if (terms.length === 1 && terms[0]![0] === "") return terms[0]![1];
  // Names in alphabetical order, the constant last; a sum starts with a positive term if it has one.
  terms.sort(([a], [b]) => (a === "" ? 1 : b === "" ? -1 : a < b ? -1 : 1));
  const first = terms.findIndex(([, n]) => n > 0);
  if (first > 0) terms.unshift(...terms.splice(first, 1));
  let text = "";
  for (const [product, n] of terms) {
    const size = Math.abs(n);
    const factor = product === "" ? `${size}` : size === 1 ? product : `${size}*${product}`;
    text += `${n < 0 ? "-" : text === "" ? "" : "+"}${factor}`;
  }
  return text;
}
