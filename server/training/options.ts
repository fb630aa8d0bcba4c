/** Kinds of values that options have, with the words that an error uses for them. */
import * as v from "valibot";

/** A whole number above 0. */
export const size = () => {
  const text = "a whole number above 0";
  return v.pipe(v.number(text), v.safeInteger(text), v.minValue(1, text));
};

/** A whole number, 0 included. */
export const count = () => {
  const text = "a whole number, 0 or above";
  return v.pipe(v.number(text), v.safeInteger(text), v.minValue(0, text));
};

/** A finite number above 0. */
export const positive = () => {
  const text = "a number above 0";
  return v.pipe(v.number(text), v.finite(text), v.gtValue(0, text));
};

/** A finite number, 0 or above. */
export const notNegative = () => {
  const text = "a number, 0 or above";
  return v.pipe(v.number(text), v.finite(text), v.minValue(0, text));
};

/** A finite number. */
export const finite = () => v.pipe(v.number("a number"), v.finite("a finite number"));

/** At least 0 and below 1. */
export const belowOne = () => {
  const text = "a number from 0 to below 1";
  return v.pipe(v.number(text), v.minValue(0, text), v.ltValue(1, text));
};

/** Above 0 and at most 1. */
export const share = () => {
  const text = "a number above 0, at most 1";
  return v.pipe(v.number(text), v.gtValue(0, text), v.maxValue(1, text));
};

/** True or false. */
export const flag = () => v.boolean("true or false");

/** One of these words. */
export const oneOf = <const T extends readonly [string, ...string[]]>(...words: T) =>
  v.picklist(words, `one of ${words.map((word) => `"${word}"`).join(", ")}`);

/** A non-empty list. */
export const listOf = <T extends v.GenericSchema>(item: T) =>
  v.pipe(v.array(item, "a list"), v.minLength(1, "a list with at least one entry"));
