/** The settings of the workbench as a complete value, read once from what an editor sends. */
import { availableParallelism, totalmem } from "node:os";
import { UserError } from "../base/errors.ts";
import type { DeviceName } from "../protocol/reader.ts";

/** How a plain file is split into contexts. */
export type ContextRule = "file" | "blocks" | "paragraphs" | "lines";

/** Every setting with a value. */
export interface Settings {
  /** Path or Hub id of the language model; empty for the bundled demo. */
  readonly lm: string;
  readonly saes: readonly string[];
  readonly device: "auto" | DeviceName;
  readonly threads: number;
  /** Bytes. */
  readonly memoryBudget: number;
  /** Glob patterns of the files that are analysed without being asked. */
  readonly files: readonly string[];
  readonly contexts: ContextRule;
  readonly hoverLatents: number;
  readonly inlayHints: boolean;
  readonly codeLens: boolean;
  /** Absorbed words as problems of the editor. */
  readonly absorptionDiagnostics: boolean;
  /** Longest context, in characters, that is analysed. */
  readonly maxContextCharacters: number;
  readonly cacheFolder: string;
  /** Where runs are kept: in each workspace folder, or absolute. */
  readonly runsFolder: string;
  /** OpenAI-compatible endpoint that explains latents, and the model to ask there; empty for none. */
  readonly explain: { readonly endpoint: string; readonly model: string };
}

const devices = ["auto", "cpu", "cuda", "webgpu", "dml", "coreml"];
const contextRules = ["file", "blocks", "paragraphs", "lines"];

/** Reads the `latentWorkbench` section of an editor's configuration; what is missing gets its default. */
export function readSettings(section: unknown, defaultCacheFolder: string): Settings {
  const at = (key: string): unknown =>
    key
      .split(".")
      .reduce<unknown>(
        (value, part) =>
          typeof value === "object" && value !== null
            ? (value as Record<string, unknown>)[part]
            : undefined,
        section,
      );
  return {
    lm: text(at("lm"), ""),
    saes: texts(at("saes"), []),
    device: oneOf(at("device"), devices, "auto", "device") as Settings["device"],
    threads: count(at("threads")) || availableParallelism(),
    memoryBudget: parseBytes(at("memoryBudget")),
    files: texts(at("files"), ["**/*.prompt.md", "**/*.prompty", "**/prompts/**"]),
    contexts: oneOf(at("contexts"), contextRules, "file", "contexts") as ContextRule,
    hoverLatents: count(at("hover.latents")) || 8,
    inlayHints: at("inlayHints.enabled") === true,
    codeLens: at("codeLens.enabled") !== false,
    absorptionDiagnostics: at("absorption.diagnostics") === true,
    maxContextCharacters: count(at("maxContextCharacters")) || 200_000,
    cacheFolder: text(at("cacheFolder"), "") || defaultCacheFolder,
    runsFolder: text(at("runsFolder"), "") || "runs",
    explain: { endpoint: text(at("explain.endpoint"), ""), model: text(at("explain.model"), "") },
  };
}

/** "8 GB", "512 MiB", a number of bytes, or "auto" for three quarters of the machine's memory. */
export function parseBytes(value: unknown): number {
  if (typeof value === "number" && value > 0) return value;
  if (value === undefined || value === null || value === "" || value === "auto")
    return Math.floor(totalmem() * 0.75);
  const match = /^\s*([\d.]+)\s*([kmgt]?)i?b?\s*$/i.exec(typeof value === "string" ? value : "");
  const amount = Number(match?.[1]);
  if (!match || !(amount > 0))
    throw new UserError(
      "bad-setting",
      `latentWorkbench.memoryBudget is ${JSON.stringify(value)}; expected "auto" or a size such as "8 GB"`,
    );
  const power = " kmgt".indexOf((match[2] ?? "").toLowerCase() || " ");
  return Math.floor(amount * 1024 ** power);
}

function text(value: unknown, fallback: string): string {
  return typeof value === "string" ? value : fallback;
}

function texts(value: unknown, fallback: readonly string[]): readonly string[] {
  return Array.isArray(value) ? value.filter((it) => typeof it === "string") : fallback;
}

function count(value: unknown): number {
  return typeof value === "number" && value > 0 ? Math.floor(value) : 0;
}

function oneOf(value: unknown, allowed: readonly string[], fallback: string, key: string): string {
  if (value === undefined || value === null || value === "") return fallback;
  if (typeof value === "string" && allowed.includes(value)) return value;
  throw new UserError(
    "bad-setting",
    `latentWorkbench.${key} is ${JSON.stringify(value)}; expected one of ${allowed.join(", ")}`,
  );
}
