/**
 * Chooses, of what an index keeps of a latent, the texts that it is explained from and those that the explanation is tested
 * on. Sizes and roles are SAEBench's (sae-bench 0.6.0, `evals/autointerp/main.py`, `gather_data`, and `eval_config.py`):
 * stretches of 10 tokens around a place; the 12 strongest contexts and 7 weaker ones drawn in proportion to act²; 10 and 5
 * of them for the explanation, 2 and 2 with 10 silent ones for detection. Fuzzing (EleutherAI/delphi `fuzz.py`, `sample.py`)
 * takes up to 10 contexts that the explanation was not made from, spread over the quantiles, and as many silent ones.
 *
 * What differs from SAEBench: weaker contexts are drawn from those that the index keeps of each quantile, not from the whole
 * corpus; no two stretches share a token (SAEBench keeps only their middles apart, and only of the strongest); around a silent
 * place the latent is silent indeed.
 */
import { SeededRandom } from "../base/seeded-random.ts";
import type { LatentIndex } from "../store/index-reader.ts";
import { noExample, noPlace } from "../store/latent-index.ts";
import { apart, type Candidate } from "./apart.ts";

/** A stretch of the corpus with |activation| of the latent on each token. */
export interface Example {
  readonly texts: readonly string[];
  readonly acts: readonly number[];
  /** The latent fires above the threshold somewhere. */
  readonly isActive: boolean;
}

/** An example with marks, which are right (where the latent fires) or not. */
export interface MarkedExample {
  readonly texts: readonly string[];
  readonly marked: readonly boolean[];
  readonly isRight: boolean;
}

/** What questions about a latent are made of. */
export interface LatentExamples {
  /** Strongest first. */
  readonly explained: readonly Example[];
  /** In random order; empty if there are too few. */
  readonly detection: readonly Example[];
  readonly fuzzing: readonly MarkedExample[];
  /** |activation| above which a token counts as active: 1 % of the largest among the strongest contexts. */
  readonly threshold: number;
  /** Why there are fewer than wanted, for the user. */
  readonly problems: readonly string[];
}

const strongest = { explained: 10, detection: 2 } as const;
const weaker = { explained: 5, detection: 2 } as const;
const silentOnes = 10;
const fuzzed = 10;
const activeShare = 0.01;
/** Share of a context's largest activation above which fuzzing marks a token (delphi's default). */
const markShare = 0.3;
/** Fewer examples than these make a score that says nothing. */
const fewest = { active: 2, silent: 5 } as const;

interface Kept extends Candidate {
  readonly group: number;
  readonly example: Example;
}

/** The examples of a latent: the same for the same index and seed. */
export function latentExamples(index: LatentIndex, latent: number, seed: number): LatentExamples {
  const random = new SeededRandom(seed, latent, 23);
  const reach = index.manifest.sizes.silentReach;
  const distance = 2 * reach;
  const max = index.summary.max[latent]!;
  const threshold = activeShare * max;
  const kept = keptOf(index, latent, { reach, threshold });
  const top = apart(
    kept.filter(({ group }) => group === 0),
    strongest.explained + strongest.detection,
    { distance },
  );
  const lowest = Math.min(...top.map(({ act }) => act));
  const below = kept.filter(({ group, act }) => group > 0 && act < lowest);
  const order = random.draw(
    Float64Array.from(below, ({ act }) => act ** 2),
    below.length,
  );
  const low = apart(
    order.map((at) => below[at]!),
    weaker.explained + weaker.detection,
    { distance, taken: top },
  );
  const [topShown, topHeld] = split(top, heldOf(top.length, strongest), random);
  const [lowShown, lowHeld] = split(low, heldOf(low.length, weaker), random);
  const shown = [...topShown, ...lowShown];
  const held = [...topHeld, ...lowHeld];
  const silent = silentOf(index, latent, reach);
  const problems: string[] = [];
  const isTested = held.length >= fewest.active && silent.length >= fewest.silent;
  if (!isTested)
    problems.push(
      `not scored: the index has ${held.length} contexts to test with, of ${fewest.active} that are needed, and ${silent.length} places of silence, of ${fewest.silent}`,
    );
  const others = apart(spread(kept, random), fuzzed, { distance, taken: shown });
  return {
    explained: shown.map(({ example }) => example).toSorted((a, b) => largest(b) - largest(a)),
    detection: isTested
      ? shuffled([...held.map(({ example }) => example), ...silent.slice(0, silentOnes)], random)
      : [],
    fuzzing: isTested ? fuzzingOf(others, silent, { reach, random }) : [],
    threshold,
    problems,
  };
}

/** The contexts of an index, strongest first, cut to the reach around their strongest token. */
function keptOf(
  index: LatentIndex,
  latent: number,
  { reach, threshold }: { reach: number; threshold: number },
): Kept[] {
  const { before, after } = index.manifest.sizes;
  const width = before + 1 + after;
  const row = index.row("contexts", latent);
  const [groups, peaks, starts, lengths, acts] = (
    ["group", "peak", "start", "length", "acts"] as const
  ).map((name) => row?.[name] ?? new Uint32Array());
  const kept: Kept[] = [];
  for (const [at, group] of groups!.entries()) {
    if (group === noExample) continue;
    const [peak, start] = [peaks![at]!, starts![at]!];
    const from = Math.max(start, peak - reach);
    const to = Math.min(start + lengths![at]!, peak + reach + 1);
    const own = Array.from({ length: to - from }, (_, i) =>
      Math.abs(acts![at * width + from - start + i]!),
    );
    const texts = index.tokenTexts(index.tokens(from, to));
    const isActive = own.some((act) => act > threshold);
    kept.push({
      place: peak,
      act: own[peak - from]!,
      group,
      example: { texts, acts: own, isActive },
    });
  }
  return kept.toSorted((a, b) => b.act - a.act || a.place - b.place);
}

function silentOf(index: LatentIndex, latent: number, reach: number): Example[] {
  const places = index.field("contexts", latent, "silent") ?? new Uint32Array();
  return [...places]
    .filter((place) => place !== noPlace)
    .map((place) => {
      const texts = index.tokenTexts(index.tokens(place - reach, place + reach + 1));
      return { texts, acts: texts.map(() => 0), isActive: false };
    });
}

function largest({ acts }: Example): number {
  return Math.max(...acts);
}

/** How many of n are held back for detection: all that is wanted if there are enough, else a part of what there is. */
function heldOf(n: number, wanted: { explained: number; detection: number }): number {
  return Math.min(wanted.detection, Math.floor(n / 3));
}

function split<T>(list: readonly T[], held: number, random: SeededRandom): [T[], T[]] {
  const mixed = shuffled(list, random);
  return [mixed.slice(held), mixed.slice(0, held)];
}

function shuffled<T>(list: readonly T[], random: SeededRandom): T[] {
  const weights = new Float64Array(list.length).fill(1);
  return random.draw(weights, list.length).map((at) => list[at]!);
}

/** One of each group in turn, each group in random order. */
function spread(kept: readonly Kept[], random: SeededRandom): Kept[] {
  const groups = [...new Set(kept.map(({ group }) => group))].map((group) =>
    shuffled(
      kept.filter((it) => it.group === group),
      random,
    ),
  );
  const longest = Math.max(0, ...groups.map((it) => it.length));
  return Array.from({ length: longest }, (_, round) =>
    groups.flatMap((group) => group.slice(round, round + 1)),
  ).flat();
}

/**
 * Contexts with the tokens marked on which the latent fires, and silent ones with as many marks at random as contexts have
 * active tokens on average, the first of them in the middle, where contexts have their strongest.
 */
function fuzzingOf(
  active: readonly Kept[],
  silent: readonly Example[],
  { reach, random }: { reach: number; random: SeededRandom },
): MarkedExample[] {
  const right = active.map(({ act, example: { texts, acts } }) => ({
    texts,
    marked: acts.map((it) => it > 0 && it >= markShare * Math.max(act, ...acts)),
    isRight: true,
  }));
  const counts = active.map(({ example }) => example.acts.filter((act) => act > 0).length);
  const marks = Math.ceil(counts.reduce((sum, it) => sum + it, 0) / Math.max(1, counts.length));
  // Others than those of detection, where there are enough.
  const taken = [...silent.slice(silentOnes), ...silent.slice(0, silentOnes)];
  const wrong = taken.slice(0, right.length).map(({ texts }) => {
    const weights = Float64Array.from(texts, (_, at) => (at === reach ? 0 : 1));
    const chosen = new Set([reach, ...random.draw(weights, Math.max(0, marks - 1))]);
    return { texts, marked: texts.map((_, at) => chosen.has(at)), isRight: false };
  });
  return shuffled([...right, ...wrong], random);
}
