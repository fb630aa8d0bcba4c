/** Which latent stands for which feature. */

/**
 * The assignment of columns to rows with the largest sum, every column to one row at most: the Hungarian method, with
 * potentials and shortest augmenting paths. Kuhn 1955, doi:10.1002/nav.3800020109; Jonker and Volgenant 1987,
 * doi:10.1007/BF02278710. Rows that get no column, because there are fewer columns than rows, have −1.
 *
 * A greedy matching takes the best pair first and so can leave a feature a latent that another one explains better;
 * this one cannot, and for tens of features costs nothing.
 */
export function bestAssignment(scores: readonly (readonly number[])[]): number[] {
  const nRows = scores.length;
  const nColumns = scores[0]?.length ?? 0;
  if (nRows > nColumns) {
    const turned = Array.from({ length: nColumns }, (_, column) =>
      scores.map((row) => row[column]!),
    );
    const rowOf = bestAssignment(turned);
    return scores.map((_, row) => rowOf.indexOf(row));
  }
  // Entries are from 1 on; 0 stands for no row, no column.
  const rowPotential = new Float64Array(nRows + 1);
  const columnPotential = new Float64Array(nColumns + 1);
  const rowOf = new Int32Array(nColumns + 1);
  for (let row = 1; row <= nRows; row++) {
    rowOf[0] = row;
    const way = shortestPath(scores, { rowPotential, columnPotential, rowOf });
    let column = way.end;
    while (column !== 0) {
      const before = way.from[column]!;
      rowOf[column] = rowOf[before]!;
      column = before;
    }
  }
  const columnOf = Array.from({ length: nRows }, () => -1);
  for (let column = 1; column <= nColumns; column++)
    if (rowOf[column]! > 0) columnOf[rowOf[column]! - 1] = column - 1;
  return columnOf;
}

interface Assignment {
  readonly rowPotential: Float64Array;
  readonly columnPotential: Float64Array;
  readonly rowOf: Int32Array;
}

/** The shortest way from the row at column 0 to a free column; raises the potentials along it. */
function shortestPath(
  scores: readonly (readonly number[])[],
  { rowPotential, columnPotential, rowOf }: Assignment,
): { end: number; from: Int32Array } {
  const nColumns = rowOf.length - 1;
  const distance = new Float64Array(nColumns + 1).fill(Infinity);
  const from = new Int32Array(nColumns + 1);
  const isDone = new Uint8Array(nColumns + 1);
  let column = 0;
  do {
    isDone[column] = 1;
    const row = rowOf[column]!;
    let step = Infinity;
    let next = 0;
    for (let other = 1; other <= nColumns; other++) {
      if (isDone[other]) continue;
      const cost = -scores[row - 1]![other - 1]! - rowPotential[row]! - columnPotential[other]!;
      if (cost < distance[other]!) {
        distance[other] = cost;
        from[other] = column;
      }
      if (distance[other]! < step) {
        step = distance[other]!;
        next = other;
      }
    }
    for (let other = 0; other <= nColumns; other++) {
      if (isDone[other]) {
        rowPotential[rowOf[other]!]! += step;
        columnPotential[other]! -= step;
      } else distance[other]! -= step;
    }
    column = next;
  } while (rowOf[column] !== 0);
  return { end: column, from };
}
