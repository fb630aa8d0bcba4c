/** Recovery, absorption and splitting: what became of known features in a trained SAE. */
import type { ToyAbsorption, ToyFeature, ToyResult } from "../protocol/toy.ts";
import type { FeatureSet, Samples } from "./feature-set.ts";
import { bestAssignment } from "./matching.ts";

/** A trained SAE as the measures look at it. */
export interface Measured {
  readonly d_sae: number;
  /** `[d_sae, d_in]`, row i is the direction of latent i. */
  readonly W_dec: Float32Array;
  /** `[d_in, d_sae]` */
  readonly W_enc: Float32Array;
  /** Activations of the samples, none negative. `[rows, d_sae]` */
  readonly acts: Float32Array;
}

/** From this cosine on a feature counts as recovered. */
const recoveredCosine = 0.9;
/** A latent that tracks a parent is active in at least half of its rows without a child. */
const trackingRecall = 0.5;
/**
 * Least cosine of a child's latent with the child. One that stands for child and parent together, of the same
 * magnitude, has 0.71; with a parent of twice the magnitude 0.45.
 */
const childCosine = 0.4;
/** Absorbed is a row in which children's latents reconstruct at least half of the parent. */
const absorbingShare = 0.5;
/** A feature is split into latents that have this cosine with it, and are active in so many of its rows. */
const splitCosine = 0.5;
const splitRecall = 0.05;

type Figures = Pick<
  ToyResult,
  | "features"
  | "parents"
  | "cosines"
  | "encoderCosines"
  | "densities"
  | "recovery"
  | "absorption"
  | "split"
>;

/** All figures about features and latents. */
export function measure(set: FeatureSet, samples: Samples, sae: Measured): Figures {
  const cosines = decoderCosines(set, sae);
  const encoderCosines = encoderCosinesOf(set, sae);
  const latentOf = bestAssignment(cosines);
  const firing = new Firing(set, samples, sae);
  const features = set.features.map((feature, at): ToyFeature => {
    const latent = latentOf[at]!;
    const known = latent >= 0;
    return {
      name: feature.name ?? `feature ${at}`,
      frequency: feature.frequency,
      measuredFrequency: firing.featureRows[at]! / firing.rows,
      ...(feature.link ? { link: feature.link } : {}),
      latent: known ? latent : null,
      cosine: known ? cosines[at]![latent]! : null,
      encoderCosine: known ? encoderCosines[at]![latent]! : null,
      maxCosine: Math.max(...cosines[at]!),
      recall: known ? ratio(firing.both(at, latent), firing.featureRows[at]!) : null,
      precision: known ? ratio(firing.both(at, latent), firing.latentRows[latent]!) : null,
      splitInto: splitsOf(at, { cosines, latentOf, firing }),
    };
  });
  const groups = parentsOf(set);
  const parents = groups.map((group) =>
    absorption(group, { set, samples, sae, latentOf, cosines }),
  );
  const children = parents.filter(({ kind }) => kind === "child");
  return {
    features,
    parents,
    cosines,
    encoderCosines,
    densities: Array.from(firing.latentRows, (it) => it / firing.rows),
    recovery: {
      matchedCosine: mean(features.map(({ cosine }) => cosine ?? 0)),
      meanMaxCosine: mean(features.map(({ maxCosine }) => maxCosine)),
      recovered: mean(features.map(({ cosine }) => ((cosine ?? 0) >= recoveredCosine ? 1 : 0))),
    },
    absorption: {
      absorbed: meanOfKnown(children.map(({ absorbed }) => absorbed)),
      carried: meanOfKnown(children.map(({ carried }) => carried)),
    },
    split: mean(features.map(({ splitInto }) => (splitInto.length > 0 ? 1 : 0))),
  };
}

interface Group {
  readonly parent: number;
  readonly children: readonly number[];
  readonly kind: "child" | "pair";
}

function parentsOf({ features }: FeatureSet): Group[] {
  const groups = new Map<string, { parent: number; children: number[]; kind: "child" | "pair" }>();
  for (const [at, { link }] of features.entries()) {
    if (!link) continue;
    const key = `${link.with} ${link.kind}`;
    const group = groups.get(key) ?? { parent: link.with, children: [], kind: link.kind };
    group.children.push(at);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** What absorption is measured from. */
interface Findings {
  readonly set: FeatureSet;
  readonly samples: Samples;
  readonly sae: Measured;
  readonly latentOf: readonly number[];
  readonly cosines: readonly (readonly number[])[];
}

/**
 * Absorption of a parent by its children, after Chanin et al. 2024, arXiv:2409.14507 (the feature's own latents
 * stay silent while another active latent, aligned with the feature's direction, stands in), with the truth known in
 * place of a probe, as in Chanin's "Toy Models of Feature Absorption in SAEs" (2024).
 *
 * The parent's latent is the one that the matching gives it; it must be active in half of the parent's rows without a
 * child, or no latent tracks the parent and nothing can be said. A child's latents are the others whose row of W_dec has
 * a cosine of 0.4 or more with the child. Of a row with the parent and some child, they carry
 * Σ act · (the parent's part of the row of W_dec) / (the parent's magnitude), clipped to [0, 1], where the part is the
 * parent's coefficient when the row of W_dec is written in the directions of parent and child by least squares, so that
 * overlapping directions are no absorption. The row is absorbed if the parent's latent is silent and they carry half.
 */
function absorption(group: Group, findings: Findings): ToyAbsorption {
  const { set, samples, sae, latentOf } = findings;
  const { parent, children } = group;
  const n = set.features.length;
  const own = latentOf[parent]!;
  const carriers = carriersOf(group, findings);
  const tally = { alone: 0, aloneActive: 0, rows: 0, silent: 0, absorbed: 0, carried: 0 };
  for (let row = 0; row * n < samples.magnitudes.length; row++) {
    const magnitude = samples.magnitudes[row * n + parent]!;
    if (magnitude === 0) continue;
    const active = children.filter((child) => samples.magnitudes[row * n + child]! > 0);
    const isSilent = own < 0 || sae.acts[row * sae.d_sae + own]! <= 0;
    if (active.length === 0) {
      tally.alone++;
      if (!isSilent) tally.aloneActive++;
      continue;
    }
    const part = carriers
      .filter(({ child }) => active.includes(child))
      .reduce((sum, it) => sum + sae.acts[row * sae.d_sae + it.latent]! * it.parentPart, 0);
    const carried = Math.min(1, Math.max(0, part / magnitude));
    tally.rows++;
    tally.carried += carried;
    if (isSilent) tally.silent++;
    if (isSilent && carried >= absorbingShare) tally.absorbed++;
  }
  const recallAlone = ratio(tally.aloneActive, tally.alone);
  const isTracked = own >= 0 && (recallAlone ?? 0) >= trackingRecall;
  const shareOf = (rows: number) => (isTracked ? ratio(rows, tally.rows) : null);
  return {
    parent,
    children,
    kind: group.kind,
    recallAlone,
    rows: tally.rows,
    absorbed: shareOf(tally.absorbed),
    silent: shareOf(tally.silent),
    carried: shareOf(tally.carried),
  };
}

/** Latents of children, each with the child that it is nearest to and the parent's part of its direction. */
function carriersOf(
  { parent, children }: Group,
  { set, sae, latentOf, cosines }: Findings,
): { latent: number; child: number; parentPart: number }[] {
  const direction = (at: number) => set.directions.subarray(at * set.d_in, (at + 1) * set.d_in);
  return Array.from({ length: sae.d_sae }, (_, latent) => latent).flatMap((latent) => {
    const [child] = children.toSorted((a, b) => cosines[b]![latent]! - cosines[a]![latent]!);
    if (
      latent === latentOf[parent] ||
      child === undefined ||
      cosines[child]![latent]! < childCosine
    )
      return [];
    const row = sae.W_dec.subarray(latent * set.d_in, (latent + 1) * set.d_in);
    const overlap = dot(direction(parent), direction(child));
    const parentPart =
      (dot(row, direction(parent)) - overlap * dot(row, direction(child))) / (1 - overlap ** 2);
    return [{ latent, child, parentPart }];
  });
}

/**
 * Latents beside a feature's own that stand for a part of it: no other feature's by the matching, nearer to it than to
 * any other, and active in some of its rows. Bricken et al. 2023, "Feature Splitting", with the truth known.
 */
function splitsOf(
  feature: number,
  facts: {
    cosines: readonly (readonly number[])[];
    latentOf: readonly number[];
    firing: Firing;
  },
): number[] {
  const { cosines, latentOf, firing } = facts;
  const own = cosines[feature]!;
  return own.flatMap((cosine, latent) => {
    const isNearest = cosines.every((other) => other[latent]! <= cosine);
    const recall = ratio(firing.both(feature, latent), firing.featureRows[feature]!) ?? 0;
    const isSplit = cosine >= splitCosine && isNearest && recall >= splitRecall;
    return isSplit && !latentOf.includes(latent) ? [latent] : [];
  });
}

/** How often features and latents are active, and both. */
class Firing {
  readonly rows: number;
  readonly featureRows: Float64Array;
  readonly latentRows: Float64Array;
  readonly #both: Float64Array;
  readonly #d_sae: number;

  constructor({ features: { length: n } }: FeatureSet, { magnitudes }: Samples, sae: Measured) {
    const { acts, d_sae } = sae;
    this.rows = magnitudes.length / n;
    this.featureRows = new Float64Array(n);
    this.latentRows = new Float64Array(d_sae);
    this.#both = new Float64Array(n * d_sae);
    this.#d_sae = d_sae;
    for (let row = 0; row < this.rows; row++) {
      const isOn = Array.from({ length: n }, (_, at) => magnitudes[row * n + at]! > 0);
      for (const [at, on] of isOn.entries()) if (on) this.featureRows[at]!++;
      for (let latent = 0; latent < d_sae; latent++) {
        if (!(acts[row * d_sae + latent]! > 0)) continue;
        this.latentRows[latent]!++;
        for (const [at, on] of isOn.entries()) if (on) this.#both[at * d_sae + latent]!++;
      }
    }
  }

  both(feature: number, latent: number): number {
    return this.#both[feature * this.#d_sae + latent]!;
  }
}

function decoderCosines({ directions, d_in, features }: FeatureSet, sae: Measured): number[][] {
  return features.map((_, feature) =>
    Array.from({ length: sae.d_sae }, (__, latent) =>
      cosine(
        directions.subarray(feature * d_in, (feature + 1) * d_in),
        sae.W_dec.subarray(latent * d_in, (latent + 1) * d_in),
      ),
    ),
  );
}

function encoderCosinesOf({ directions, d_in, features }: FeatureSet, sae: Measured): number[][] {
  const { d_sae, W_enc } = sae;
  const columns = Array.from({ length: d_sae }, (_, latent) =>
    Float32Array.from({ length: d_in }, (__, i) => W_enc[i * d_sae + latent]!),
  );
  return features.map((_, feature) =>
    columns.map((it) => cosine(directions.subarray(feature * d_in, (feature + 1) * d_in), it)),
  );
}

type Vector = Float32Array | Float64Array;

function dot(a: Vector, b: Vector): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** 0 where a vector has no direction. */
function cosine(a: Vector, b: Vector): number {
  const norms = Math.sqrt(dot(a, a) * dot(b, b));
  return norms > 0 ? dot(a, b) / norms : 0;
}

function ratio(part: number, whole: number): number | null {
  return whole > 0 ? part / whole : null;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, it) => sum + it, 0) / Math.max(1, values.length);
}

function meanOfKnown(values: readonly (number | null)[]): number | null {
  const known = values.filter((it) => it !== null);
  return known.length > 0 ? mean(known) : null;
}
