/** How options of the command line are read. */
import { InvalidArgumentError } from "commander";
import type { DeviceName } from "../protocol/reader.ts";

/** Facts about an SAE by key. */
export type Facts = Readonly<Record<string, string | number | boolean>>;

/** A whole number from 1. */
export function count(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1)
    throw new InvalidArgumentError("expected a whole number from 1.");
  return number;
}

/** A whole number from 0. */
export function countOrNone(value: string): number {
  return value === "0" ? 0 : count(value);
}

/** A device, or auto. */
export function device(value: string): "auto" | DeviceName {
  return oneOf(value, ["auto", "cpu", "cuda", "webgpu", "dml", "coreml"]);
}

/** One of a few words. */
export function oneOf<const T extends string>(value: string, names: readonly T[]): T {
  const found = names.find((name) => name === value);
  if (found === undefined) throw new InvalidArgumentError(`expected one of ${names.join(", ")}.`);
  return found;
}

/** A JSON object. */
export function json(value: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(value);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) {
      return parsed as Record<string, unknown>;
    }
  } catch {
    // Said below.
  }
  throw new InvalidArgumentError("expected a JSON object.");
}

/** `key=value`, added to those before. */
export function fact(value: string, all: Facts): Facts {
  const [key, text] = [value.slice(0, value.indexOf("=")), value.slice(value.indexOf("=") + 1)];
  if (!key || !value.includes("=")) throw new InvalidArgumentError("expected key=value.");
  const number = Number(text);
  const parsed =
    text === "true" ? true : text === "false" ? false : Number.isNaN(number) ? text : number;
  return { ...all, [key]: parsed };
}

/** A value of an option that may be given several times. */
export function collect(value: string, all: readonly string[]): string[] {
  return [...all, value];
}

/** The options that were given. */
export function defined<T extends object>(options: T): Partial<T> {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<T>;
}
