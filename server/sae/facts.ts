/** Facts about an SAE that the user gives because the format keeps them in a path or nowhere. */
import { badFact, factsMissing, unknownFact } from "./errors.ts";

/** A fact's value. */
export type FactValue = string | number | boolean;

/** Every fact that can be given: what it is, and an example of its kind. */
export const knownFacts = {
  hook: { what: "the hook point it reads", example: "blocks.8.hook_resid_post" },
  hookOut: { what: "the hook point a transcoder predicts", example: "blocks.8.hook_mlp_out" },
  k: { what: "active latents per token", example: 50 },
  model: { what: "the language model it was trained on", example: "gpt2" },
  prependBos: { what: "whether BOS stands in front of the text", example: true },
  n_ctx: { what: "longest context in tokens", example: 1024 },
  metaOf: { what: "the SAE whose decoder rows it reads", example: "gpt2-res-16k" },
  scalingFactor: {
    what: "the factor √d_in / mean norm of the training activations",
    example: 0.32,
  },
  normalizeDecoder: {
    what: "whether decoder rows are scaled to norm 1 as dictionary_learning's from_pretrained does",
    example: true,
  },
  useThreshold: {
    what: "whether a TopK SAE uses its learned threshold in place of k",
    example: false,
  },
} as const;

/** Key of a fact. */
export type FactKey = keyof typeof knownFacts;

/** The facts given for one SAE, checked by key and kind. */
export class Facts {
  readonly #given: Readonly<Record<string, FactValue>>;

  constructor(given: Readonly<Record<string, FactValue>>) {
    for (const [key, value] of Object.entries(given)) {
      const known = Object.hasOwn(knownFacts, key) ? knownFacts[key as FactKey] : undefined;
      if (!known) throw unknownFact(key, Object.keys(knownFacts));
      if (typeof value !== typeof known.example)
        throw badFact(key, value, `a ${typeof known.example}: ${known.what}`);
    }
    this.#given = given;
    const k = this.number("k");
    if (k !== undefined && !(Number.isInteger(k) && k > 0))
      throw badFact("k", k, "a positive whole number");
  }

  /** The fact if it is a string and was given. */
  string(key: FactKey): string | undefined {
    return this.#given[key] as string | undefined;
  }

  /** The fact if it is a number and was given. */
  number(key: FactKey): number | undefined {
    return this.#given[key] as number | undefined;
  }

  /** The fact if it is true or false and was given. */
  boolean(key: FactKey): boolean | undefined {
    return this.#given[key] as boolean | undefined;
  }
}

/** Throws one error that asks for every fact that is still undefined; afterwards none is. */
export function requireFacts<T extends Partial<Record<FactKey, FactValue | undefined>>>(
  path: string,
  format: string,
  facts: T,
): { [K in keyof T]-?: Exclude<T[K], undefined> } {
  const missing = Object.entries(facts)
    .filter(([, value]) => value === undefined)
    .map(([key]) => ({ key, ...knownFacts[key as FactKey] }));
  if (missing.length > 0) throw factsMissing(path, format, missing);
  return facts as { [K in keyof T]-?: Exclude<T[K], undefined> };
}
