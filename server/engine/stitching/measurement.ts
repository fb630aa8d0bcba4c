/** Everything that is measured of a pair of SAEs on a sample of text, piece by piece. */
import type { Cosines } from "../../analysis/cosines.ts";
import type { Pace } from "../../analysis/pace.ts";
import { type Component, componentsOf } from "../../analysis/stitching/components.ts";
import {
  Composition,
  type EncodedWindow,
  type Pair,
} from "../../analysis/stitching/composition.ts";
import {
  agreementOf,
  type InsertionEffects,
  insertionEffects,
} from "../../analysis/stitching/effects.ts";
import { measureFit, novelLatents, pathSteps } from "../../analysis/stitching/path.ts";
import { describeSelfContained, selfContained } from "../../analysis/stitching/self-contained.ts";
import { entryOf, splicedLoss, type SampleWindow } from "../../analysis/stitching/spliced-loss.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import type { PathPoint, StitchParams, StitchReport } from "../../protocol/stitching.ts";
import type { Device } from "../../runtime/device.ts";
import { openSae, type SparseActs } from "../../sae/sae.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import type { LoadedSae } from "../loaded.ts";
import { readWindow } from "./sample.ts";

/** Sequences on which the effect of one latent on the cross-entropy is measured. */
const windowsPerLatent = 3;

/** What a measurement needs. */
export interface MeasurementParts {
  readonly narrow: LoadedSae;
  readonly wide: LoadedSae;
  readonly lm: LanguageModel;
  readonly device: Device;
  readonly relation: Cosines;
  readonly pace: Pace;
}

/** The pair with the sample, read once; everything else follows from it. */
export class Measurement {
  readonly pair: Pair;
  readonly windows: readonly EncodedWindow[];
  readonly components: readonly Component[];
  readonly effects: InsertionEffects;
  readonly #parts: MeasurementParts;

  private constructor(parts: MeasurementParts, pair: Pair, windows: readonly EncodedWindow[]) {
    this.#parts = parts;
    this.pair = pair;
    this.windows = windows;
    this.components = componentsOf(parts.relation, pair.narrow.d_sae);
    this.effects = insertionEffects(new Composition(pair), windows);
  }

  /** Reads the sample and takes both SAEs apart. */
  static async of(parts: MeasurementParts, ids: readonly Int32Array[]): Promise<Measurement> {
    const { narrow, wide, lm, pace } = parts;
    const read: SampleWindow[] = [];
    for (const [at, own] of ids.entries())
      read.push(
        await pace.step(
          () => readWindow(lm, narrow.hook, own, pace.signal),
          (0.2 * (at + 1)) / ids.length,
        ),
      );
    const sample = withoutFirst(read);
    const pair = {
      narrow: await pace.step(() => selfContained(narrow, sample, pace.signal)),
      wide: await pace.step(() => selfContained(wide, sample, pace.signal)),
    };
    const narrowActs = await encode(parts, pair, "narrow", read);
    const wideActs = await encode(parts, pair, "wide", read);
    const windows = read.map((window, at) => ({
      ...window,
      narrow: narrowActs[at]!,
      wide: wideActs[at]!,
    }));
    return new Measurement(parts, pair, windows);
  }

  /** Novel latents by a rule, most helpful first. */
  novel(rule: StitchParams["rule"]): number[] {
    return novelLatents(this.#parts.relation.best, rule, this.effects);
  }

  /** All figures. */
  async report(params: StitchParams, pace: Pace): Promise<StitchReport> {
    const { narrow, wide, relation } = this.#parts;
    const { fired, deltaMse, tokens } = this.effects;
    const { best, bestRow } = relation;
    const inPhase = (from: number, to: number): Pace => ({
      ...pace,
      step: (piece, share = 0) => pace.step(piece, from + (to - from) * share),
    });
    const { path, cleanCe } = await this.#path(params, inPhase(0.3, 0.6));
    const deltaCe = await this.#lossEffects(params.ceLatents, inPhase(0.6, 1));
    const component = new Int32Array(best.length).fill(-1);
    for (const [at, own] of this.components.entries())
      for (const latent of own.wide) component[latent] = at;
    const known = (latent: number, delta: number) => ({ cosine: best[latent]!, delta });
    const entry = entryOf(narrow.hook);
    return {
      narrow: narrow.id,
      wide: wide.id,
      hook: narrow.info.hook,
      rule: params.rule,
      tokens,
      cleanCe,
      notes: [
        ...this.pair.narrow.notes,
        ...this.pair.wide.notes,
        ...(entry ? [] : [`cross-entropy is not measured at ${narrow.info.hook}`]),
      ],
      latents: {
        cosine: best,
        nearest: bestRow,
        fired,
        deltaMse: Float32Array.from(deltaMse),
        component,
        deltaCe,
      },
      components: this.components.map((it) => ({
        wide: [...it.wide],
        narrow: [...it.narrow],
        cosine: it.cosine,
      })),
      byMse: agreementOf(
        [...best.keys()].filter((it) => fired[it]! > 0).map((it) => known(it, deltaMse[it]!)),
      ),
      byCe: agreementOf(
        [...best.keys()]
          .filter((it) => !Number.isNaN(deltaCe[it]!))
          .map((it) => known(it, deltaCe[it]!)),
      ),
      path,
    };
  }

  /** Figures of one composition. */
  async fit(
    composition: Composition,
    pace: Pace,
  ): Promise<Omit<PathPoint, "phase" | "inserted" | "removed">> {
    const { mse, fvu, l0, x_hats } = measureFit(composition, this.windows);
    return { mse, fvu, l0, ce: await this.#loss(x_hats, pace) };
  }

  async #path(
    { rule, points }: StitchParams,
    pace: Pace,
  ): Promise<{ path: PathPoint[]; cleanCe: number | null }> {
    const composition = new Composition(this.pair);
    const steps = pathSteps(this.novel(rule), this.components, {
      pieces: points,
      fired: this.effects.fired,
    });
    const path: PathPoint[] = [];
    const cleanCe = await this.#loss(undefined, pace);
    for (const [at, { phase, apply }] of steps.entries()) {
      apply(composition);
      const own: Pace = { ...pace, step: (piece) => pace.step(piece, (at + 1) / steps.length) };
      const { inserted, removed } = composition;
      path.push({ phase, inserted, removed, ...(await this.fit(composition, own)) });
    }
    return { path, cleanCe };
  }

  /** Mean cross-entropy over the sample, with reconstructions or untouched. */
  async #loss(x_hats: readonly Float32Array[] | undefined, pace: Pace): Promise<number | null> {
    const entry = entryOf(this.#parts.narrow.hook);
    if (!entry) return null;
    let [sum, tokens] = [0, 0];
    for (const [at, window] of this.windows.entries()) {
      if (window.ids.length < 3) continue;
      const x_hat = x_hats?.[at];
      const loss = await pace.step(() =>
        splicedLoss(this.#parts.lm, window, { entry, x_hat }, pace.signal),
      );
      const n = window.ids.length - 2;
      sum += loss * n;
      tokens += n;
    }
    return tokens === 0 ? null : sum / tokens;
  }

  /** What inserting single latents does to the cross-entropy, on the sequences in which they are strongest. */
  async #lossEffects(count: number, pace: Pace): Promise<Float32Array> {
    const { narrow, lm, relation } = this.#parts;
    const deltas = new Float32Array(relation.best.length).fill(Number.NaN);
    const entry = entryOf(narrow.hook);
    if (!entry || count === 0) return deltas;
    const base = new Composition(this.pair);
    const before = new Map<number, number>();
    const chosen = spread(
      [...relation.best.keys()]
        .filter((it) => this.effects.fired[it]! > 0)
        .toSorted((a, b) => relation.best[a]! - relation.best[b]!),
      count,
    );
    for (const [done, latent] of chosen.entries()) {
      const with_ = new Composition(this.pair);
      with_.insert([latent]);
      const where = this.#strongest(latent);
      let [sum, tokens] = [0, 0];
      for (const at of where) {
        const window = this.windows[at]!;
        const loss = (composition: Composition): Promise<number> => {
          const { x_hat } = composition.reconstruct(window);
          return pace.step(
            () => splicedLoss(lm, window, { entry, x_hat }, pace.signal),
            (done + 1) / chosen.length,
          );
        };
        if (!before.has(at)) before.set(at, await loss(base));
        const n = window.ids.length - 2;
        sum += ((await loss(with_)) - before.get(at)!) * n;
        tokens += n;
      }
      if (tokens > 0) deltas[latent] = sum / tokens;
    }
    return deltas;
  }

  /** The sequences in which a latent fires most, without position 0. */
  #strongest(latent: number): number[] {
    const strength = this.windows.map(({ wide: { offsets, latents, acts }, ids }, at) => {
      let sum = 0;
      for (let entry = offsets[1]!; entry < offsets[ids.length]!; entry++)
        if (latents[entry] === latent) sum += acts[entry]!;
      return { at, sum: ids.length < 3 ? 0 : sum };
    });
    return strength
      .filter(({ sum }) => sum > 0)
      .toSorted((a, b) => b.sum - a.sum)
      .slice(0, windowsPerLatent)
      .map(({ at }) => at);
  }
}

/** What one SAE of a pair, taken apart, reads of each sequence. */
async function encode(
  { narrow, device, pace }: MeasurementParts,
  pair: Pair,
  which: keyof Pair,
  windows: readonly SampleWindow[],
): Promise<SparseActs[]> {
  const name = `${which} SAE of a pair to stitch`;
  const description = describeSelfContained(name, narrow.sae.config, pair[which]);
  const sae = await pace.step(() => openSae(description, device));
  try {
    const all: SparseActs[] = [];
    for (const [at, { x }] of windows.entries())
      all.push(
        await pace.step(
          () => sae.encode(x, pace.signal),
          0.2 + ((which === "narrow" ? 0 : 1) + (at + 1) / windows.length) * 0.05,
        ),
      );
    return all;
  } finally {
    await sae.release();
  }
}

/** The rows of all sequences but those at position 0. */
function withoutFirst(windows: readonly SampleWindow[]): Tensor<"float32"> {
  const width = windows[0]?.x.dims[1] ?? 0;
  const rows = windows.reduce((sum, { ids }) => sum + ids.length - 1, 0);
  const data = new Float32Array(rows * width);
  let at = 0;
  for (const { x } of windows) {
    data.set(x.data.subarray(width), at);
    at += x.data.length - width;
  }
  return tensor("float32", [rows, width], data);
}

/** At most `count` elements, evenly spread. */
function spread<T>(all: readonly T[], count: number): T[] {
  const n = Math.min(count, all.length);
  return Array.from(
    { length: n },
    (_, at) => all[n === 1 ? 0 : Math.round((at * (all.length - 1)) / (n - 1))]!,
  );
}
