/** `latent-workbench lint`: the rules of a `latents.jsonc` held against files, for a terminal or CI. */
import { basename, dirname, join, relative, resolve } from "node:path";
import { UserError } from "../../base/errors.ts";
import { listFiles, readText } from "../../files/disk.ts";
import { placeOf } from "../../files/written-path.ts";
import type { SaeInfo } from "../../protocol/reader.ts";
import { readContexts } from "../../text/contexts.ts";
import {
  findingText,
  isAbout,
  type LatentRule,
  ruleFindings,
  type RuleSeverity,
} from "../../text/latent-rules.ts";
import { type LatentsFile, parseLatentsFile } from "../../text/latents-file.ts";
import { LineStarts } from "../../text/line-starts.ts";
import type { Engine } from "../engine.ts";

/** What to read. */
export interface LintOptions {
  /** The file with lm, saes and rules. */
  readonly config: string;
  /** Files to read; none: those below the config's folder that a rule's pattern names. */
  readonly files: readonly string[];
  readonly signal: AbortSignal;
}

/** A place that breaks a rule. Lines and columns count from 1. */
export interface LintPlace {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly severity: RuleSeverity;
  readonly sae: string;
  readonly latent: number;
  readonly activation: number;
  readonly message: string;
}

/** The answer. */
export interface LintResult {
  readonly files: number;
  readonly places: readonly LintPlace[];
}

interface LintConfig extends Pick<LatentsFile, "saes" | "rules" | "labels"> {
  readonly lm: string;
}

/** Reads the files that rules are about, and says where they are broken. */
export async function lint(engine: Engine, options: LintOptions): Promise<LintResult> {
  const config = readConfig(options.config);
  const folder = dirname(resolve(options.config));
  const files =
    options.files.length > 0 ? options.files.map((it) => resolve(it)) : named(folder, config.rules);
  if (files.length === 0) return { files: 0, places: [] };
  const lm = await engine.loadLm({ path: config.lm });
  const saes: SaeInfo[] = [];
  for (const { path, name, facts } of config.saes)
    saes.push(
      await engine.loadSae({
        path,
        lm: lm.id,
        ...(name ? { id: name } : {}),
        ...(facts ? { facts } : {}),
      }),
    );
  const unknown = config.rules.find(({ sae }) => !saes.some(({ id }) => id === sae));
  if (unknown)
    throw new UserError(
      "bad-latents-file",
      `${options.config}: a rule names the SAE ${unknown.sae}; "saes" has ${saes.map(({ id }) => id).join(", ") || "none"}`,
    );
  const places: LintPlace[] = [];
  for (const file of files) {
    const rules = config.rules.filter((rule) => isAbout(rule, relative(folder, file)));
    places.push(
      ...(await lintFile(
        engine,
        file,
        { lm: lm.id, saes, rules, labels: config.labels },
        options.signal,
      )),
    );
  }
  return { files: files.length, places };
}

/** The places as a compiler would print them. */
export function printLint({ files, places }: LintResult): string {
  const lines = places.map(
    ({ file, line, column, severity, message, sae }) =>
      `${relative(process.cwd(), file)}:${line}:${column}: ${severity}: ${message} [${sae}]`,
  );
  return [...lines, `${counted(places.length, "place")} in ${counted(files, "file")}`].join("\n");
}

function counted(count: number, what: string): string {
  return count === 1 ? `1 ${what}` : `${count} ${what}s`;
}

async function lintFile(
  engine: Engine,
  file: string,
  what: {
    lm: string;
    saes: readonly SaeInfo[];
    rules: readonly LatentRule[];
    labels: LintConfig["labels"];
  },
  signal: AbortSignal,
): Promise<LintPlace[]> {
  const text = readText(file);
  const lines = new LineStarts(text);
  const wanted = what.saes.filter(({ id }) => what.rules.some((rule) => rule.sae === id));
  const places: LintPlace[] = [];
  for (const source of readContexts({ name: basename(file), text }).contexts) {
    for (const sae of wanted) {
      const read = { stream: "lint", lm: what.lm, saes: [sae.id], context: source };
      const reading = await engine.analyse(read, signal);
      for (const finding of ruleFindings(what.rules, source, reading)) {
        const { latent, severity } = finding.rule;
        const { line, character } = lines.position(finding.startOffset);
        const label = what.labels[sae.id]?.[String(latent)] ?? sae.labels[latent];
        const message = findingText(finding, label);
        const at = { file, line: line + 1, column: character + 1 };
        places.push({ ...at, severity, sae: sae.id, latent, activation: finding.act, message });
      }
    }
  }
  return places.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

function named(folder: string, rules: readonly LatentRule[]): string[] {
  const patterned = rules.filter(({ files }) => files !== undefined);
  if (patterned.length < rules.length)
    throw new UserError("usage", 'a rule has no "files"; name the files to read');
  return listFiles(folder)
    .filter((file) => !/(^|\/)(node_modules|\.git)\//.test(file))
    .filter((file) => patterned.some((rule) => isAbout(rule, file)))
    .map((file) => join(folder, file));
}

function readConfig(path: string): LintConfig {
  const folder = dirname(resolve(path));
  const file = parseLatentsFile(readText(path), path, (it) => placeOf(it, [folder]));
  const { lm, saes, rules, labels } = file;
  if (lm === undefined || saes.length === 0)
    throw new UserError(
      "bad-latents-file",
      `${path} names no "lm" and "saes"; lint reads with those`,
    );
  if (rules.length === 0)
    throw new UserError(
      "no-rules",
      `${path} has no "rules": add one such as {"sae": "…", "latent": 123, "above": 4}`,
    );
  return { lm, saes, rules, labels };
}
