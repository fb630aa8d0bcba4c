/** Features with directions, and rows that are sums of the active ones. */
import { SeededRandom } from "../base/seeded-random.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import {
  type Chances,
  chancesOf,
  type FeatureConfig,
  featureList,
  siblingsBefore,
  type ToyConfig,
} from "./toy-config.ts";

/** Streams of random numbers of one seed, beside those of the trainers. */
const streams = { directions: 101, batches: 102, test: 103 } as const;

/** Rows with what is in them. */
export interface Samples {
  /** `[rows, d_in]` */
  readonly x: Tensor<"float32">;
  /** Magnitude of every feature, 0 where it is not active. `[rows, features]` */
  readonly magnitudes: Float32Array;
}

/** The features of a config. */
export class FeatureSet {
  readonly features: readonly FeatureConfig[];
  readonly d_in: number;
  /** Unit vectors. `[features, d_in]` */
  readonly directions: Float64Array;
  readonly #seed: number;
  readonly #chances: readonly Chances[];
  readonly #siblings: readonly (readonly number[])[];

  constructor(config: ToyConfig) {
    this.features = featureList(config);
    this.d_in = config.d_in ?? 0;
    this.#seed = config.seed;
    const random = new SeededRandom(config.seed, streams.directions);
    this.directions = drawDirections(config, this.features.length, random);
    this.#chances = chancesOf(this.features);
    this.#siblings = this.features.map((_, at) => siblingsBefore(this.features, at));
  }

  /** Mean number of features that are active in a row. */
  get meanActive(): number {
    return this.features.reduce((sum, { frequency }) => sum + frequency, 0);
  }

  /** The batch of a step: the same whenever it is asked for. */
  batch(step: number, rows: number): Samples {
    return this.#draw(rows, new SeededRandom(this.#seed, streams.batches, step));
  }

  /** Rows that no batch holds. */
  test(rows: number): Samples {
    return this.#draw(rows, new SeededRandom(this.#seed, streams.test));
  }

  #draw(rows: number, random: SeededRandom): Samples {
    const { features, d_in, directions } = this;
    const n = features.length;
    const x = new Float32Array(rows * d_in);
    const magnitudes = new Float32Array(rows * n);
    for (let row = 0; row < rows; row++) {
      for (const [at, { link, magnitude, deviation }] of features.entries()) {
        const { on, off } = this.#chances[at]!;
        const isOn = link !== undefined && magnitudes[row * n + link.with]! > 0;
        const isExcluded = this.#siblings[at]!.some((it) => magnitudes[row * n + it]! > 0);
        // A number is drawn in any case, so that links do not shift those of later features.
        if (random.uniform() >= (isOn ? on : off) || isExcluded) continue;
        const size = deviation === 0 ? magnitude : magnitude + deviation * random.normal();
        if (size <= 0) continue;
        magnitudes[row * n + at] = size;
        for (let i = 0; i < d_in; i++) x[row * d_in + i]! += size * directions[at * d_in + i]!;
      }
    }
    return { x: tensor("float32", [rows, d_in], x), magnitudes };
  }
}

function drawDirections({ directions, d_in }: ToyConfig, n: number, random: SeededRandom) {
  const width = d_in ?? 0;
  if (directions.kind === "random")
    return rowsOf(n, width, (rows) => {
      for (let row = 0; row < n; row++) drawUnit(rows, row, width, random);
    });
  if (directions.kind === "orthogonal")
    return rowsOf(n, width, (rows) => drawOrthonormal(rows, n, width, random));
  // One direction that all share, and one of its own for each: their cosine is the share of the first.
  const { cosine } = directions;
  const basis = rowsOf(n + 1, width, (rows) => drawOrthonormal(rows, n + 1, width, random));
  return rowsOf(n, width, (rows) => {
    for (let at = 0; at < n * width; at++)
      rows[at] =
        Math.sqrt(cosine) * basis[n * width + (at % width)]! + Math.sqrt(1 - cosine) * basis[at]!;
  });
}

function rowsOf(n: number, width: number, fill: (rows: Float64Array) => void): Float64Array {
  const rows = new Float64Array(n * width);
  fill(rows);
  return rows;
}

function drawUnit(rows: Float64Array, row: number, width: number, random: SeededRandom): void {
  for (let i = 0; i < width; i++) rows[row * width + i] = random.normal();
  scaleToUnit(rows.subarray(row * width, (row + 1) * width));
}

/** Gram and Schmidt's method, twice for each row: once leaves rounding errors. */
function drawOrthonormal(rows: Float64Array, n: number, width: number, random: SeededRandom): void {
  for (let row = 0; row < n; row++) {
    drawUnit(rows, row, width, random);
    const own = rows.subarray(row * width, (row + 1) * width);
    for (let pass = 0; pass < 2; pass++) {
      for (let before = 0; before < row; before++) {
        const other = rows.subarray(before * width, (before + 1) * width);
        const part = own.reduce((sum, it, i) => sum + it * other[i]!, 0);
        for (let i = 0; i < width; i++) own[i] = own[i]! - part * other[i]!;
      }
      scaleToUnit(own);
    }
  }
}

function scaleToUnit(vector: Float64Array): void {
  const norm = Math.hypot(...vector);
  for (let i = 0; i < vector.length; i++) vector[i] = vector[i]! / norm;
}
