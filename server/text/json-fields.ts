/** Fields of tokenizer.json as typed values; absent and null mean the same there. */
import { badTokenizer } from "./errors.ts";

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a JSON value is an object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object in a field, or undefined where there is none. */
export function objectField(from: JsonObject, key: string): JsonObject | undefined {
  return field(from, key, isObject, "an object");
}

/** The string in a field, or undefined where there is none. */
export function stringField(from: JsonObject, key: string): string | undefined {
  return field(from, key, (value) => typeof value === "string", "a string");
}

/** The string in a field that must be there. */
export function requiredString(from: JsonObject, key: string): string {
  const value = stringField(from, key);
  if (value === undefined) throw badTokenizer(`${print(from)} has no "${key}"`);
  return value;
}

/** The boolean in a field, or the default. */
export function booleanField(from: JsonObject, key: string, fallback: boolean): boolean {
  return field(from, key, (value) => typeof value === "boolean", "true or false") ?? fallback;
}

/** The list in a field, empty where there is none. */
export function listField(from: JsonObject, key: string): readonly unknown[] {
  return field(from, key, (value) => Array.isArray(value), "a list") ?? [];
}

/** The objects of a list, e.g. the steps of a Sequence. */
export function objectList(from: JsonObject, key: string): readonly JsonObject[] {
  return listField(from, key).map((value) => {
    if (!isObject(value))
      throw badTokenizer(`"${key}" holds ${print(value)} where an object is expected`);
    return value;
  });
}

function field<T>(
  from: JsonObject,
  key: string,
  is: (value: unknown) => value is T,
  expected: string,
): T | undefined {
  const value = from[key];
  if (value === undefined || value === null) return undefined;
  if (!is(value)) throw badTokenizer(`"${key}" is ${print(value)} where ${expected} is expected`);
  return value;
}

function print(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
