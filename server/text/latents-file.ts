/** `latents.jsonc`: a workspace's models, SAEs, pinned latents and labels. */
import { type ParseError, parse, printParseErrorCode } from "jsonc-parser";
import { UserError } from "../base/errors.ts";
import type { PinnedLatent } from "../protocol/page.ts";
import { type LatentRule, parseRules } from "./latent-rules.ts";

/** An SAE as the workspace names it. */
export interface SaeEntry {
  readonly path: string;
  /** Id to use instead of the one made from the path. */
  readonly name?: string;
  /** Answers to what the SAE's format does not store, by key. */
  readonly facts?: Readonly<Record<string, string | number | boolean>>;
  /** Not used unless asked for by name. */
  readonly optional?: boolean;
}

/** The file's content, its paths made absolute. */
export interface LatentsFile {
  readonly lm?: string;
  readonly saes: readonly SaeEntry[];
  readonly pinned: readonly PinnedLatent[];
  /** SAE id → latent → label. */
  readonly labels: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** What latents may not do in texts. */
  readonly rules: readonly LatentRule[];
}

/**
 * Parses the file's text; throws a `UserError` with line and reason for what is no JSON. `place` makes a path of it absolute
 * and leaves ids of the Hub as they are.
 */
export function parseLatentsFile(
  text: string,
  path: string,
  place: (path: string) => string,
): LatentsFile {
  const errors: ParseError[] = [];
  const value = parse(text, errors, { allowTrailingComma: true }) as Record<string, unknown>;
  const [first] = errors;
  if (first) {
    const line = text.slice(0, first.offset).split("\n").length;
    throw new UserError(
      "bad-latents-file",
      `${path}, line ${line}: ${printParseErrorCode(first.error)}; expected JSON with comments`,
    );
  }
  const lm = value?.["lm"];
  const saes = Array.isArray(value?.["saes"]) ? value["saes"] : [];
  const pinned = Array.isArray(value?.["pinned"]) ? value["pinned"] : [];
  const labels = value?.["labels"] ?? {};
  const wrong = pinned.find((it) => !isPinned(it));
  if (wrong !== undefined)
    throw new UserError(
      "bad-latents-file",
      `${path}: an entry of "pinned" is ${JSON.stringify(wrong)}; expected {"sae": …, "latent": 0}`,
    );
  if (!areLabels(labels))
    throw new UserError(
      "bad-latents-file",
      `${path}: "labels" is not what it should be; expected {"ID OF THE SAE": {"0": "label of latent 0"}}`,
    );
  return {
    ...(typeof lm === "string" ? { lm: place(lm) } : {}),
    saes: saes.map((entry: unknown) => saeEntry(entry, place, path)),
    pinned: pinned as PinnedLatent[],
    labels,
    rules: parseRules(value?.["rules"], path),
  };
}

function saeEntry(entry: unknown, place: (path: string) => string, file: string): SaeEntry {
  if (typeof entry === "string") return { path: place(entry) };
  const { path, name, facts, optional } = (entry ?? {}) as Partial<SaeEntry>;
  if (typeof path !== "string")
    throw new UserError(
      "bad-latents-file",
      `${file}: an entry of "saes" is ${JSON.stringify(entry)}; expected a path or {"path": …, "name": …, "facts": …}`,
    );
  return {
    path: place(path),
    ...(name ? { name } : {}),
    ...(facts ? { facts } : {}),
    ...(optional ? { optional } : {}),
  };
}

function isPinned(value: unknown): value is PinnedLatent {
  const { sae, latent } = (value ?? {}) as Partial<PinnedLatent>;
  return typeof sae === "string" && Number.isInteger(latent) && (latent ?? -1) >= 0;
}

function areLabels(value: unknown): value is LatentsFile["labels"] {
  return isTable(value) && Object.values(value).every((it) => isTable(it) && allTexts(it));
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function allTexts(table: Record<string, unknown>): boolean {
  return Object.values(table).every((it) => typeof it === "string");
}
