/** A parent's whole decoder broken down into meta-latents: who is part of whom, and how much is explained. */
import { explainedBins, type MetaLatent, type MetaSummary } from "../../protocol/meta.ts";
import type { Sae } from "../../sae/sae.ts";
import { seeded } from "../../base/seeded-random.ts";
import { shuffledColumns, shuffledRows } from "../../sae/unit-rows.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import { range } from "../cosines.ts";
import type { Pace } from "../pace.ts";
import { type BrokenDown, breakDown, directionsOf } from "./breakdown.ts";

/** Latents of one piece. */
const pieceRows = 512;
const shuffleSeed = 0;

/** All memberships of one meta-SAE in one parent. */
export class Decomposition {
  readonly summary: Omit<MetaSummary, "meta" | "parent">;
  /** Meta-latent m owns entries offsets[m] … offsets[m + 1] − 1, strongest first. */
  readonly #offsets: Int32Array;
  readonly #latents: Int32Array;
  readonly #acts: Float32Array;
  readonly #cosines: Float32Array;

  private constructor(
    summary: Omit<MetaSummary, "meta" | "parent">,
    entries: readonly (readonly Entry[])[],
  ) {
    this.summary = summary;
    this.#offsets = new Int32Array(entries.length + 1);
    for (const [at, own] of entries.entries())
      this.#offsets[at + 1] = this.#offsets[at]! + own.length;
    const all = entries.flat();
    this.#latents = Int32Array.from(all, ({ latent }) => latent);
    this.#acts = Float32Array.from(all, ({ activation }) => activation);
    this.#cosines = Float32Array.from(all, ({ cosine }) => cosine);
  }

  /** Runs the meta-SAE on all of its parent's decoder rows, and on the same without their structure. */
  static async of(meta: Sae, parent: Sae, pace: Pace): Promise<Decomposition> {
    const { d_sae } = parent.config;
    const entries: Entry[][] = Array.from({ length: meta.config.d_sae }, () => []);
    const explained = new Float32Array(d_sae);
    const real = new Variance();
    const byEntries = new Variance();
    const byColumns = new Variance();
    const random = seeded(shuffleSeed);
    for (let from = 0; from < d_sae; from += pieceRows) {
      const to = Math.min(from + pieceRows, d_sae);
      await pace.step(async () => {
        const x = directionsOf(parent, range(from, to));
        const broken = await breakDown(meta, x, pace.signal);
        real.add(broken);
        explained.set(broken.explained, from);
        note(broken, from, entries);
        const d = x.dims[1]!;
        for (const [variance, shuffle] of [
          [byEntries, shuffledRows],
          [byColumns, shuffledColumns],
        ] as const) {
          const y = tensor("float32", x.dims, shuffle(x.data, d, random));
          variance.add({ x: y, x_hat: await reconstruct(meta, y, pace.signal) });
        }
      }, to / d_sae);
    }
    for (const own of entries)
      own.sort((a, b) => b.activation - a.activation || a.latent - b.latent);
    const active = entries.reduce((sum, own) => sum + own.length, 0);
    return new Decomposition(
      {
        d_sae: meta.config.d_sae,
        parentLatents: d_sae,
        l0: active / d_sae,
        varianceExplained: real.explained(),
        shuffledEntries: byEntries.explained(),
        shuffledColumns: byColumns.explained(),
        dead: entries.filter((own) => own.length === 0).length,
        explainedHistogram: explainedHistogram(explained),
        membersHistogram: membersHistogram(entries.map((own) => own.length)),
      },
      entries,
    );
  }

  /** The latents that a meta-latent is part of, strongest first, at most `k`. */
  members(latent: number, k: number): MetaLatent {
    const from = this.#offsets[latent] ?? 0;
    const to = this.#offsets[latent + 1] ?? from;
    const members = Array.from({ length: Math.min(k, to - from) }, (_, at) => ({
      latent: this.#latents[from + at]!,
      activation: this.#acts[from + at]!,
      cosine: this.#cosines[from + at]!,
    }));
    return { latent, members, count: to - from };
  }
}

interface Entry {
  readonly latent: number;
  readonly activation: number;
  readonly cosine: number;
}

function note({ acts, cosines }: BrokenDown, from: number, entries: Entry[][]): void {
  for (let row = 0; row + 1 < acts.offsets.length; row++)
    for (let at = acts.offsets[row]!; at < acts.offsets[row + 1]!; at++)
      entries[acts.latents[at]!]!.push({
        latent: from + row,
        activation: acts.acts[at]!,
        cosine: cosines[at]!,
      });
}

async function reconstruct(
  meta: Sae,
  x: Tensor<"float32">,
  signal?: AbortSignal,
): Promise<Tensor<"float32">> {
  return meta.decode(await meta.encode(x, signal), x, signal);
}

/** Sums for 1 − FVU. */
class Variance {
  #sum = new Float64Array();
  #squares = 0;
  #error = 0;
  #rows = 0;

  add({ x, x_hat }: { x: Tensor<"float32">; x_hat: Tensor<"float32"> }): void {
    const [nRows = 0, d = 0] = x.dims;
    if (this.#sum.length !== d) this.#sum = new Float64Array(d);
    for (let at = 0; at < nRows * d; at++) {
      const value = x.data[at]!;
      this.#sum[at % d]! += value;
      this.#squares += value * value;
      this.#error += (value - x_hat.data[at]!) ** 2;
    }
    this.#rows += nRows;
  }

  /** 1 − Σ‖x − x_hat‖² / Σ‖x − mean x‖² */
  explained(): number {
    const ofMean = this.#sum.reduce((total, sum) => total + sum * sum, 0) / this.#rows;
    return 1 - this.#error / (this.#squares - ofMean);
  }
}

function explainedHistogram(explained: Float32Array): number[] {
  const bins = Array.from({ length: explainedBins }, () => 0);
  for (const share of explained) {
    const bin = Math.floor(share * explainedBins);
    bins[Math.max(0, Math.min(explainedBins - 1, bin))]! += 1;
  }
  return bins;
}

/** 0, 1, 2–3, 4–7, …: bin b > 0 holds counts from 2^(b − 1) to 2^b − 1. */
function membersHistogram(counts: readonly number[]): number[] {
  const bins: number[] = [];
  for (const count of counts) {
    const bin = count === 0 ? 0 : Math.floor(Math.log2(count)) + 1;
    while (bins.length <= bin) bins.push(0);
    bins[bin]! += 1;
  }
  return bins;
}
