/** Sweeps: a list or a grid of options, spread out into single SAEs that are trained on the same batches. */
import * as v from "valibot";
import { listOf } from "../../training/options.ts";
import { conflictingRun } from "./errors.ts";

const options = v.record(v.string(), v.unknown(), "an object");

/**
 * Options of `train` by name, with dots for those inside others (`dead.after`). A list has one entry per SAE; an object
 * has a list of values per option, and every combination is trained.
 */
export const sweepSchema = v.union(
  [listOf(options), v.record(v.string(), listOf(v.unknown()))],
  "a list of objects, or an object of lists",
);

type Swept = Readonly<Record<string, unknown>>;

interface Sae {
  readonly name?: string | undefined;
  readonly train: Readonly<Record<string, unknown>>;
}

/** Every SAE with every combination; each gets a name that no other has. */
export function expandSweep<S extends Sae>(
  saes: readonly S[],
  sweep: v.InferOutput<typeof sweepSchema> | undefined,
  where: string,
): (S & { name: string })[] {
  const combinations = sweep === undefined ? [undefined] : combinationsOf(sweep);
  const all = saes.flatMap((sae) =>
    combinations.map((swept) => {
      const architecture = sae.train["architecture"];
      const base = sae.name ?? (typeof architecture === "string" ? architecture : "sae");
      if (swept === undefined) return { ...sae, name: base };
      const train = Object.entries(swept).reduce(withOption, sae.train);
      return { ...sae, train, swept, name: `${base}-${nameOf(swept)}` };
    }),
  );
  const names = new Set<string>();
  for (const { name } of all) {
    if (names.has(name)) {
      throw conflictingRun(where, `two SAEs are called ${name}; give each a "name" of its own`);
    }
    names.add(name);
  }
  return all;
}

function combinationsOf(sweep: v.InferOutput<typeof sweepSchema>): Swept[] {
  if (Array.isArray(sweep)) return sweep;
  let all: Swept[] = [{}];
  for (const [key, values] of Object.entries(sweep as Record<string, unknown[]>)) {
    all = all.flatMap((it) => values.map((value) => ({ ...it, [key]: value })));
  }
  return all;
}

/** The options with one of them set; objects on the way to it are copied, not changed. */
function withOption(
  train: Readonly<Record<string, unknown>>,
  [path, value]: [string, unknown],
): Readonly<Record<string, unknown>> {
  const dot = path.indexOf(".");
  if (dot < 0) return { ...train, [path]: value };
  const key = path.slice(0, dot);
  const inner = (train[key] ?? {}) as Readonly<Record<string, unknown>>;
  return { ...train, [key]: withOption(inner, [path.slice(dot + 1), value]) };
}

/** `k16-lr0.001`: short, and fit for a folder's name. */
function nameOf(swept: Swept): string {
  const parts = Object.entries(swept).map(([path, value]) => {
    const shown = typeof value === "string" ? value : JSON.stringify(value);
    return `${path.split(".").at(-1)}${shown}`;
  });
  return parts.join("-").replace(/[^\w.+=-]+/g, "_");
}
