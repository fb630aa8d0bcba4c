/** A JSON config file whose values are checked by key and kind as they are asked for. */
import { readJson } from "../files/disk.ts";
import { badConfigValue } from "./errors.ts";

/** An object of a config file. `null` counts as absent, as Python writes None. */
export class ConfigFile {
  readonly file: string;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #prefix: string;

  constructor(file: string, value: unknown, prefix = "") {
    if (!isRecord(value))
      throw badConfigValue({
        file,
        key: prefix || "the file",
        found: value,
        expected: "an object",
      });
    this.file = file;
    this.#values = value;
    this.#prefix = prefix;
  }

  /** Reads a file. */
  static read(file: string): ConfigFile {
    return new ConfigFile(file, readJson(file));
  }

  /** Keys that have a value. */
  keys(): string[] {
    return Object.keys(this.#values).filter((key) => this.has(key));
  }

  /** Whether the key has a value. */
  has(key: string): boolean {
    return this.value(key) !== undefined;
  }

  /** The value as it is; undefined where absent or null. */
  value(key: string): unknown {
    return Object.hasOwn(this.#values, key) ? (this.#values[key] ?? undefined) : undefined;
  }

  /** A whole number above 0. */
  size(key: string): number {
    return this.#require(key, this.maybeSize(key), "a whole number above 0");
  }

  /** A whole number above 0, or undefined where absent. */
  maybeSize(key: string): number | undefined {
    const value = this.value(key);
    if (value !== undefined && !(Number.isSafeInteger(value) && Number(value) > 0))
      throw this.wrong(key, "a whole number above 0");
    return value as number | undefined;
  }

  /** A finite number. */
  number(key: string): number {
    return this.#require(key, this.maybeNumber(key), "a number");
  }

  /** A finite number, or undefined where absent. */
  maybeNumber(key: string): number | undefined {
    const value = this.value(key);
    if (value !== undefined && !(typeof value === "number" && Number.isFinite(value)))
      throw this.wrong(key, "a number");
    return value;
  }

  /** A text. */
  string(key: string): string {
    return this.#require(key, this.maybeString(key), "a text");
  }

  /** A text, or undefined where absent. */
  maybeString(key: string): string | undefined {
    const value = this.value(key);
    if (value !== undefined && typeof value !== "string") throw this.wrong(key, "a text");
    return value;
  }

  /** True or false, or undefined where absent. */
  maybeBoolean(key: string): boolean | undefined {
    const value = this.value(key);
    if (value !== undefined && typeof value !== "boolean") throw this.wrong(key, "true or false");
    return value;
  }

  /** A list of whole numbers above 0, or undefined where absent. */
  maybeSizes(key: string): number[] | undefined {
    const value = this.value(key);
    if (value === undefined) return undefined;
    const sizes = Array.isArray(value) ? (value as unknown[]) : [];
    if (!Array.isArray(value) || !sizes.every((it) => Number.isSafeInteger(it) && Number(it) > 0))
      throw this.wrong(key, "a list of whole numbers above 0");
    return sizes as number[];
  }

  /** An object within; an empty one where absent. */
  object(key: string): ConfigFile {
    const value = this.value(key) ?? {};
    if (!isRecord(value)) throw this.wrong(key, "an object");
    return new ConfigFile(this.file, value, this.path(key));
  }

  /** The key with the objects around it. */
  path(key: string): string {
    return this.#prefix === "" ? key : `${this.#prefix}.${key}`;
  }

  /** The error that says what a value should have been. */
  wrong(key: string, expected: string): Error {
    return badConfigValue({
      file: this.file,
      key: this.path(key),
      found: this.value(key),
      expected,
    });
  }

  #require<T>(key: string, value: T | undefined, expected: string): T {
    if (value === undefined) throw this.wrong(key, expected);
    return value;
  }
}

/** Whether a value is an object with keys. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
