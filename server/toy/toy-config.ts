/**
 * The config of a toy run: one complete JSON value. What is left out gets its default here, so that the parsed value says
 * everything, and running it again gives the same figures.
 */
import * as v from "valibot";
import { count, flag, listOf, notNegative, oneOf, positive, size } from "../training/options.ts";
import { toyArchitectures, type ToyKnobs } from "../protocol/toy.ts";
import { badToyConfig, conflictingToyOptions, unknownToyOption } from "./errors.ts";

const share = () => within(0, 1);

/** How features lie in the space of activations. */
const directions = v.variant("kind", [
  /** At right angles, in a random rotation; needs d_in ≥ the number of features. */
  v.strictObject({ kind: v.literal("orthogonal") }),
  /** Every two at the same cosine; needs d_in above the number of features. */
  v.strictObject({ kind: v.literal("overlap"), cosine: v.optional(within(0, 0.95), 0.2) }),
  /** Drawn one by one, uniform on the sphere: cosines of 0 on average and of 1/√d_in in root mean square. */
  v.strictObject({ kind: v.literal("random") }),
]);

/** A feature by itself. */
const feature = v.strictObject({
  name: v.optional(v.string("a text")),
  /** Share of rows in which it is active. */
  frequency: v.pipe(v.number("a share"), v.gtValue(0, "above 0"), v.maxValue(1, "at most 1")),
  /** Mean and standard deviation of its magnitude where it is active; what falls below 0 is 0. */
  magnitude: v.optional(positive(), 1),
  deviation: v.optional(notNegative(), 0),
  /** An earlier feature that it goes together with. */
  link: v.optional(
    v.strictObject({
      with: count(),
      kind: v.optional(oneOf("child", "pair"), "child"),
      strength: v.optional(share(), 1),
      /** Never active together with others of the same link that are exclusive: a token is "snake" or "short", not both. */
      exclusive: v.optional(flag(), false),
    }),
  ),
});

/** Features by a rule: parents with children first, then pairs of the rest (the last is alone if their number is odd). */
const recipe = v.strictObject({
  count: v.optional(size(), 12),
  parents: v.optional(count(), 2),
  /** Children of each parent. */
  children: v.optional(count(), 2),
  /** Strength of the link of children to their parent. */
  hierarchy: v.optional(share(), 1),
  /** Whether at most one child of a parent is active in a row. */
  exclusive: v.optional(flag(), true),
  /** Strength of the link of the two of a pair. */
  coOccurrence: v.optional(share(), 0),
  parentFrequency: v.optional(share(), 0.25),
  /** Null: 0.06, or less where the children of a parent would be active more often than it. */
  childFrequency: v.optional(v.nullable(share()), null),
  /** Of all others; multiplied by `decay` from pair to pair. */
  frequency: v.optional(share(), 0.12),
  decay: v.optional(share(), 1),
  magnitude: v.optional(positive(), 1),
  deviation: v.optional(notNegative(), 0),
});

/** The SAE and its training. */
const sae = v.strictObject({
  architecture: v.optional(oneOf(...toyArchitectures), "standard"),
  /** Latents; null for as many as there are features. */
  d_sae: v.optional(v.nullable(size()), null),
  /** Weight of the penalty: of L1 (standard, gated) or L0 (JumpReLU). Others have `k`. */
  l1: v.optional(notNegative(), 0.1),
  /** Mean number of active latents of a row; null for the mean number of active features, as near as the architecture can. */
  k: v.optional(v.nullable(positive()), null),
  tied: v.optional(flag(), false),
  /**
   * Weight of the penalty on directions that a meta-SAE explains, which is trained beside (`adversary` of a training
   * config, with the meta-SAE of `toy-training.ts`); 0 for none.
   */
  adversary: v.optional(notNegative(), 0),
  /** Null: 0.01, and 3e-3 for Matryoshka, whose levels pull at the same latents. */
  lr: v.optional(v.nullable(positive()), null),
  batch: v.optional(size(), 256),
  steps: v.optional(size(), 2000),
  /** Further keys of a training config, which win over what is set here. */
  options: v.optional(v.record(v.string(), v.unknown()), {}),
});

/** The whole. */
export const toySchema = v.strictObject({
  seed: v.optional(count(), 0),
  /** Width of the activations; null for 32, or more where the directions need it. */
  d_in: v.optional(v.nullable(size()), null),
  directions: v.optional(directions, { kind: "orthogonal" }),
  features: v.optional(
    // One of the two is meant, so that errors name its keys.
    v.lazy((given) => (Array.isArray(given) ? listOf(feature) : recipe)),
    {},
  ),
  sae: v.optional(sae, {}),
  /** Fresh rows that figures are measured on. */
  testRows: v.optional(size(), 8192),
});

/** A complete config. */
export type ToyConfig = v.InferOutput<typeof toySchema>;

/** A feature of a config. */
export type FeatureConfig = v.InferOutput<typeof feature>;

type RecipeConfig = v.InferOutput<typeof recipe>;

/** Reads a config. `where` names its file in errors, which say key, found and expected. */
export function parseToyConfig(value: unknown, where: string): ToyConfig {
  const config = checked(value, where);
  const list = featureList(config);
  const problem = linkProblem(list) ?? widthProblem(config, list.length);
  if (problem !== undefined) throw conflictingToyOptions(where, problem);
  return { ...config, d_in: widthOf(config, list.length) };
}

/** The config that knobs stand for, over one from a file; knobs win. */
export function withKnobs(base: unknown, knobs: ToyKnobs): unknown {
  const found = (base ?? {}) as Partial<Record<keyof ToyConfig, Record<string, unknown>>>;
  const { features, parents, children, hierarchy, coOccurrence, seed, latents, ...sae } = knobs;
  const rule = defined({ count: features, parents, children, hierarchy, coOccurrence });
  return {
    ...found,
    ...defined({ seed }),
    ...(Object.keys(rule).length > 0 ? { features: { ...found.features, ...rule } } : {}),
    sae: { ...found.sae, ...defined({ ...sae, d_sae: latents }) },
  };
}

/** The features that a config lists or describes by a rule. */
export function featureList({ features }: Pick<ToyConfig, "features">): FeatureConfig[] {
  return Array.isArray(features) ? features : ruled(features);
}

function ruled(rule: RecipeConfig): FeatureConfig[] {
  const { magnitude, deviation } = rule;
  const most = (0.8 * rule.parentFrequency) / Math.max(1, rule.children);
  const childFrequency = rule.childFrequency ?? Math.min(0.06, most);
  const list: FeatureConfig[] = [];
  const add = (given: Omit<FeatureConfig, "magnitude" | "deviation">): void => {
    if (list.length < rule.count) list.push({ ...given, magnitude, deviation });
  };
  for (let parent = 0; parent < rule.parents && list.length < rule.count; parent++) {
    const at = list.length;
    add({ name: `parent ${parent + 1}`, frequency: rule.parentFrequency });
    const { hierarchy: strength, exclusive } = rule;
    const link = { with: at, kind: "child", strength, exclusive } as const;
    for (let child = 1; child <= rule.children; child++) {
      const name = `child ${parent + 1}.${child}`;
      add({ name, frequency: childFrequency, link });
    }
  }
  for (let pair = 1; list.length < rule.count; pair++) {
    const at = list.length;
    const frequency = rule.frequency * rule.decay ** (pair - 1);
    const isAlone = at === rule.count - 1;
    add({ name: isAlone ? `alone ${pair}` : `pair ${pair}a`, frequency });
    const link = { with: at, kind: "pair", strength: rule.coOccurrence, exclusive: false } as const;
    add({ name: `pair ${pair}b`, frequency, link });
  }
  return list;
}

function linkProblem(list: readonly FeatureConfig[]): string | undefined {
  const bad = list.findIndex(({ link }, at) => link !== undefined && link.with >= at);
  if (bad >= 0)
    return `feature ${bad} is linked with feature ${list[bad]?.link?.with}; it can only be linked with one that stands before it`;
  const crowded = chancesOf(list).findIndex(({ on, off }) => on > 1 || off > 1);
  if (crowded < 0) return undefined;
  return `feature ${crowded} and those that exclude it are active too often to take turns; lower their frequencies, or set "exclusive" to false`;
}

/** Chances of a feature: where the linked one is active, and where it is not. Without a link both are its frequency. */
export interface Chances {
  readonly on: number;
  readonly off: number;
}

/**
 * Chances that keep both frequencies p and q whatever the strength s of the link: both are active with probability
 * p·q + s·(min(p, q) − p·q), so s = 0 is independence, and with s = 1 a child (q ≤ p) is never without its parent. Of
 * exclusive ones a later one is drawn only where no earlier one is active, with a chance that makes up for it.
 */
export function chancesOf(list: readonly FeatureConfig[]): Chances[] {
  return list.map(({ frequency: q, link }, at) => {
    if (link === undefined) return { on: q, off: q };
    const alone = linkedChances(list, at);
    if (!link.exclusive) return alone;
    const taken = siblingsBefore(list, at).map((before) => linkedChances(list, before));
    const free = (kind: "on" | "off") => 1 - taken.reduce((sum, it) => sum + it[kind], 0);
    return { on: shareOf(alone.on, free("on")), off: shareOf(alone.off, free("off")) };
  });
}

/** Above 1 where less is left than is wanted. */
function shareOf(part: number, whole: number): number {
  return part === 0 ? 0 : part / Math.max(0, whole);
}

/** Earlier features that exclude a feature. */
export function siblingsBefore(list: readonly FeatureConfig[], at: number): number[] {
  const { link } = list[at]!;
  if (!link?.exclusive) return [];
  return list
    .slice(0, at)
    .flatMap((other, before) =>
      other.link?.exclusive && other.link.with === link.with ? [before] : [],
    );
}

function linkedChances(list: readonly FeatureConfig[], at: number): Chances {
  const { frequency: q, link } = list[at]!;
  if (link === undefined) return { on: q, off: q };
  const p = list[link.with]!.frequency;
  const both = p * q + link.strength * (Math.min(p, q) - p * q);
  return { on: both / p, off: p < 1 ? (q - both) / (1 - p) : 0 };
}

/** d_in that directions need at least. */
function leastWidth({ directions: { kind } }: ToyConfig, features: number): number {
  return { orthogonal: features, overlap: features + 1, random: 1 }[kind];
}

function widthOf(config: ToyConfig, features: number): number {
  return config.d_in ?? Math.max(32, leastWidth(config, features));
}

function widthProblem(config: ToyConfig, features: number): string | undefined {
  const least = leastWidth(config, features);
  if (widthOf(config, features) >= least) return undefined;
  return `"d_in" is ${config.d_in}, but ${features} features in directions of kind "${config.directions.kind}" need ${least}; raise it, or take "random" directions`;
}

function checked(value: unknown, where: string): ToyConfig {
  const result = v.safeParse(toySchema, value, { abortPipeEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = issue.path ?? [];
  const key = path.map((item) => String(item.key)).join(".");
  const { type, expected, message } = issue;
  if (type === "strict_object" && expected === "never") throw unknownToyOption(where, key);
  const found = path.length === 0 ? value : path.at(-1)?.value;
  const text = message.startsWith("Invalid ") ? (expected ?? "another value") : message;
  throw badToyConfig({ where, key: key || "the config", found, expected: text });
}

function within(least: number, most: number, text = `a number from ${least} to ${most}`) {
  return v.pipe(v.number(text), v.minValue(least, text), v.maxValue(most, text));
}

function defined<T extends object>(options: T): Partial<T> {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<T>;
}
