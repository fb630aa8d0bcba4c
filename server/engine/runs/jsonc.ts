/** JSON with comments, as people write it. */
import { parse, type ParseError, printParseErrorCode } from "jsonc-parser";
import { runNotJsonc } from "./errors.ts";

/** The value of a text; the error of a text that is none says the line. */
export function parseJsonc(source: string, where: string): unknown {
  const errors: ParseError[] = [];
  const value: unknown = parse(source, errors, { allowTrailingComma: true });
  const [error] = errors;
  if (!error) return value;
  const line = source.slice(0, error.offset).split("\n").length;
  throw runNotJsonc(where, `${printParseErrorCode(error.error)} in line ${line}`);
}
