/** Checks what a session is fed before the device sees it. */
import { evaluateDim, printDims } from "../graph/dims.ts";
import type { Dim } from "../graph/graph.ts";
import type { DType } from "../tensor/tensor.ts";

interface Type<D extends Dim = Dim> {
  readonly dtype: DType;
  readonly dims: readonly D[];
}

/** Throws unless the feeds are all inputs, of their types, with one size for each symbolic dimension. */
export function checkFeeds(
  label: string,
  inputs: ReadonlyMap<string, Type>,
  feeds: Readonly<Record<string, Type<number>>>,
): void {
  const sizes = new Map<string, number>();
  const fail = (text: string): never => {
    throw new Error(`${label}: ${text}`);
  };
  for (const name of Object.keys(feeds)) if (!inputs.has(name)) fail(`no input ${name}`);
  for (const [name, { dims }] of inputs) {
    dims.forEach((dim, i) => {
      const size = feeds[name]?.dims[i];
      const isName = typeof dim === "string" && /^\w+$/.test(dim);
      if (isName && size !== undefined && !sizes.has(dim)) sizes.set(dim, size);
    });
  }
  for (const [name, { dtype, dims }] of inputs) {
    const feed = feeds[name] ?? fail(`input ${name} is not fed`);
    const found = `input ${name}: found ${feed.dtype}${printDims(feed.dims)}`;
    const wanted = `${dtype}${printDims(dims)}`;
    if (feed.dtype !== dtype || feed.dims.length !== dims.length) {
      fail(`${found}, expected ${wanted}`);
    }
    dims.forEach((dim, i) => {
      const expected = evaluateDim(dim, sizes);
      if (expected !== undefined && expected !== feed.dims[i]) {
        const where = typeof dim === "string" ? ` where ${dim} is ${expected}` : "";
        fail(`${found}, expected ${wanted}${where}`);
      }
    });
  }
}
