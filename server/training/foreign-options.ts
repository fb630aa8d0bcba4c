/** Reads another library's config key by key, so that a key nobody asked for is an error. */
import { badTrainConfig, unknownOption } from "./errors.ts";

/** The keys of one object of a foreign config. */
export class ForeignOptions {
  readonly #where: string;
  readonly #path: string;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #asked = new Set<string>();

  /** `path` stands before keys in errors: "sae_cfg.". */
  constructor(values: unknown, where: string, path = "") {
    this.#where = where;
    this.#path = path;
    if (typeof values !== "object" || values === null || Array.isArray(values))
      throw badTrainConfig({
        where,
        key: path.replace(/\.$/, "") || "the config",
        found: values,
        expected: "an object",
      });
    this.#values = values as Record<string, unknown>;
  }

  /** The value; undefined or null where there is none. */
  value(key: string): unknown {
    this.#asked.add(key);
    return this.#values[key];
  }

  has(key: string): boolean {
    return this.value(key) !== undefined && this.value(key) !== null;
  }

  /** A number; `fallback` where it is left out, and an error without one. */
  number(key: string, fallback?: number): number {
    return this.#read(key, fallback, "a number", isNumber);
  }

  /** A number, or null where it is left out or null. */
  maybeNumber(key: string): number | null {
    return this.has(key) ? this.number(key) : null;
  }

  boolean(key: string, fallback?: boolean): boolean {
    return this.#read(key, fallback, "true or false", (it) => typeof it === "boolean");
  }

  string(key: string, fallback?: string): string {
    return this.#read(key, fallback, "a text", (it) => typeof it === "string");
  }

  /** A list of numbers, or null where it is left out or null. */
  maybeNumbers(key: string): number[] | null {
    if (!this.has(key)) return null;
    return this.#read(key, undefined, "a list of numbers", isNumbers);
  }

  /** The object under a key; an empty one where it is left out. */
  object(key: string): ForeignOptions {
    return new ForeignOptions(this.value(key) ?? {}, this.#where, `${this.#path}${key}.`);
  }

  /** Keys that have no effect on training, or one that is taken from elsewhere. */
  ignore(...keys: readonly string[]): void {
    for (const key of keys) this.#asked.add(key);
  }

  /** The full name of a key and where it stands, for errors. */
  place(key: string): { where: string; key: string; found: unknown } {
    return { where: this.#where, key: this.#path + key, found: this.#values[key] };
  }

  /** An error that a key's value is not what it must be. */
  wrong(key: string, expected: string): Error {
    return badTrainConfig({ ...this.place(key), expected });
  }

  /** Throws for the first key that nobody asked for. */
  done(): void {
    const unknown = Object.keys(this.#values).find((key) => !this.#asked.has(key));
    if (unknown !== undefined)
      throw unknownOption(this.#where, this.#path + unknown, [...this.#asked].sort());
  }

  #read<T>(
    key: string,
    fallback: T | undefined,
    expected: string,
    isRight: (it: unknown) => it is T,
  ): T {
    const found = this.value(key) ?? fallback;
    if (!isRight(found)) throw this.wrong(key, expected);
    return found;
  }
}

function isNumber(it: unknown): it is number {
  return typeof it === "number";
}

function isNumbers(it: unknown): it is number[] {
  return Array.isArray(it) && it.every(isNumber);
}
