/**
 * Run files as lists show them. What a run file may hold, and what its words mean, is known to the program that runs
 * it; here only what stands in lists is read, and a start that finds more to object to says so in the run's output.
 */
import { parse, type ParseError, printParseErrorCode } from "jsonc-parser";
import { basename } from "node:path";
import { readText } from "../files/disk.ts";
import type { RunSae } from "../protocol/runs.ts";
import { badRunFile } from "./runs-errors.ts";

/** What lists show of a run file. */
export interface RunSummary {
  /** The verb of the command line that runs it. */
  readonly kind: "train" | "index";
  /** Path or Hub id of the language model. */
  readonly lm?: string;
  readonly hook?: string;
  readonly steps?: number;
  /** A start has completed the file. */
  readonly isStarted: boolean;
  readonly saes: readonly Pick<RunSae, "id" | "architecture" | "d_sae" | "options">[];
}

/** Reads a run file as far as lists show it; a file that is none is an error. */
export function readRunSummary(path: string): RunSummary {
  return runSummary(readText(path), path);
}

/** The summary of a run file's text. */
export function runSummary(text: string, path: string): RunSummary {
  const errors: ParseError[] = [];
  const run = asRecord(parse(text, errors, { allowTrailingComma: true }));
  const [error] = errors;
  if (error) {
    const line = text.slice(0, error.offset).split("\n").length;
    throw badRunFile(path, `line ${line}: ${printParseErrorCode(error.error)}`);
  }
  if (run["kind"] === "index") return indexSummary(run);
  const saes = (Array.isArray(run["saes"]) ? run["saes"] : [run["sae"]]).map(asRecord);
  const trains = saes.map(({ train }) => asRecord(train));
  if (!trains.every((it) => typeof it["architecture"] === "string"))
    throw badRunFile(
      path,
      'it is no run file: expected "sae" or "saes", each with an architecture under "train"',
    );
  const data = asRecord(run["data"]);
  const longest = Math.max(...trains.map(({ steps }) => (typeof steps === "number" ? steps : 0)));
  const steps = typeof run["steps"] === "number" ? run["steps"] : longest;
  const lm = textOf(data["lm"]);
  const parent = textOf(data["sae"]);
  const hook = parent === undefined ? textOf(saes[0]?.["hook"]) : `decoder of ${basename(parent)}`;
  return {
    kind: "train",
    ...(lm === undefined ? {} : { lm }),
    ...(hook === undefined ? {} : { hook }),
    ...(steps > 0 ? { steps } : {}),
    isStarted: run["environment"] !== undefined,
    saes: saes.map(({ name, swept }, at) => ({
      id: textOf(name) ?? String(trains[at]?.["architecture"]),
      architecture: String(trains[at]?.["architecture"]),
      d_sae: Number(trains[at]?.["d_sae"] ?? 0),
      options: plainValues(asRecord(swept)),
    })),
  };
}

/** An index has no SAEs of its own, no steps, and one file for its whole life. */
function indexSummary(run: Record<string, unknown>): RunSummary {
  const lm = textOf(asRecord(run["data"])["lm"]);
  const sae = textOf(run["sae"]);
  return {
    kind: "index",
    ...(lm === undefined ? {} : { lm }),
    ...(sae === undefined ? {} : { hook: `latents of ${basename(sae)}` }),
    isStarted: false,
    saes: [],
  };
}

function plainValues(record: Record<string, unknown>): RunSae["options"] {
  return Object.fromEntries(
    Object.entries(record).map(([key, value]) => [
      key,
      typeof value === "string" || typeof value === "number" || typeof value === "boolean"
        ? value
        : JSON.stringify(value),
    ]),
  );
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
