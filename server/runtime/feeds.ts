/** Checks what a session is fed before the device sees it. */
import { dimEvaluator, printDims } from "../graph/dims.ts";
import type { Dim, Graph } from "../graph/graph.ts";
import type { DType } from "../tensor/tensor.ts";

interface Type<D extends Dim = Dim> {
  readonly dtype: DType;
  readonly dims: readonly D[];
}

/** What an input must be, with its dimensions ready to be compared with those of a feed: they are compared at every run. */
export interface FeedType extends Type {
  /** The name of each dimension that is nothing but a name. */
  readonly names: readonly (string | undefined)[];
  readonly sizeOf: readonly ((sizes: ReadonlyMap<string, number>) => number | undefined)[];
}

/** The inputs of a graph by name; types only, because the graph may hold weights. */
export function feedTypes(graph: Graph): Map<string, FeedType> {
  return new Map(
    graph.inputs.map(({ name, dtype, dims }) => {
      const names = dims.map((dim) =>
        typeof dim === "string" && /^\w+$/.test(dim) ? dim : undefined,
      );
      return [name, { dtype, dims, names, sizeOf: dims.map(dimEvaluator) }];
    }),
  );
}

/** Throws unless the feeds are all inputs, of their types, with one size for each symbolic dimension. */
export function checkFeeds(
  label: string,
  inputs: ReadonlyMap<string, FeedType>,
  feeds: Readonly<Record<string, Type<number>>>,
): void {
  const sizes = new Map<string, number>();
  const fail = (text: string): never => {
    throw new Error(`${label}: ${text}`);
  };
  for (const name of Object.keys(feeds)) if (!inputs.has(name)) fail(`no input ${name}`);
  for (const [name, { names }] of inputs) {
    const found = feeds[name]?.dims;
    names.forEach((dim, i) => {
      const size = found?.[i];
      if (dim !== undefined && size !== undefined && !sizes.has(dim)) sizes.set(dim, size);
    });
  }
  for (const [name, { dtype, dims, sizeOf }] of inputs) {
    const feed = feeds[name] ?? fail(`input ${name} is not fed`);
    const wrong = (where = ""): never => {
      const found = `input ${name}: found ${feed.dtype}${printDims(feed.dims)}`;
      return fail(`${found}, expected ${dtype}${printDims(dims)}${where}`);
    };
    if (feed.dtype !== dtype || feed.dims.length !== dims.length) wrong();
    dims.forEach((dim, i) => {
      const expected = sizeOf[i]!(sizes);
      if (expected !== undefined && expected !== feed.dims[i])
        wrong(typeof dim === "string" ? ` where ${dim} is ${expected}` : "");
    });
  }
}
