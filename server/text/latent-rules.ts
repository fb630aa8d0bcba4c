/**
 * Rules of `latents.jsonc` about latents in texts: "warn where #123 is above 4 in *.prompt.md". Parsed here, and held against
 * readings, for the editor's problems and for `latent-workbench lint` alike.
 */
import { minimatch } from "minimatch";
import { UserError } from "../base/errors.ts";
import type { ContextSource } from "../protocol/context.ts";
import type { ContextReading } from "../protocol/reader.ts";
import { fileOffset } from "./contexts.ts";

/** How a place that breaks a rule is shown. */
export type RuleSeverity = "error" | "warning" | "information" | "hint";

/** One rule. */
export interface LatentRule {
  /** Id of the SAE, as hovers show it. */
  readonly sae: string;
  readonly latent: number;
  /** Places where |activation| is larger than this. */
  readonly above: number;
  /** Files that the rule is about; absent: all that are read. */
  readonly files?: string;
  readonly severity: RuleSeverity;
  /** What to say instead of the figures alone. */
  readonly message?: string;
}

/** A place that breaks a rule: neighbouring tokens are one. */
export interface RuleFinding {
  readonly rule: LatentRule;
  readonly startOffset: number;
  readonly endOffset: number;
  /** The largest activation there. */
  readonly act: number;
}

const severities: readonly RuleSeverity[] = ["error", "warning", "information", "hint"];

/** The value of the key `rules`, checked; `where` names the file in errors. */
export function parseRules(value: unknown, where: string): LatentRule[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw badRule(where, "rules", value, "a list of rules");
  return value.map((entry: unknown, at) => {
    const rule = (entry ?? {}) as Partial<LatentRule>;
    const key = (name: string): string => `rules[${at}].${name}`;
    const { sae, latent, above = 0, files, severity = "warning", message } = rule;
    if (typeof sae !== "string") throw badRule(where, key("sae"), sae, "the id of an SAE");
    if (!Number.isSafeInteger(latent) || latent! < 0)
      throw badRule(where, key("latent"), latent, "the index of a latent");
    if (typeof above !== "number" || !(above >= 0))
      throw badRule(where, key("above"), above, "an activation, 0 or above");
    if (files !== undefined && typeof files !== "string")
      throw badRule(where, key("files"), files, "a pattern such as *.prompt.md");
    if (!severities.includes(severity))
      throw badRule(where, key("severity"), severity, severities.join(", "));
    if (message !== undefined && typeof message !== "string")
      throw badRule(where, key("message"), message, "a text");
    return {
      sae,
      latent: latent!,
      above,
      severity,
      ...(files === undefined ? {} : { files }),
      ...(message === undefined ? {} : { message }),
    };
  });
}

/** Whether a rule is about a file; a pattern without a slash means its name, in any folder. */
export function isAbout({ files }: LatentRule, path: string): boolean {
  return (
    files === undefined ||
    minimatch(path.replace(/^\/+/, ""), files, { dot: true, matchBase: true })
  );
}

/** Places of a context that break rules. Position 0 does not count: its activations are of another size. */
export function ruleFindings(
  rules: readonly LatentRule[],
  source: ContextSource,
  reading: ContextReading,
): RuleFinding[] {
  return rules.flatMap((rule) => {
    const row = reading.saes[rule.sae];
    if (!row) return [];
    const found: RuleFinding[] = [];
    let last = -2;
    for (let token = 0; token < reading.tokens.ids.length; token++) {
      const part = reading.tokens.part[token] ?? -1;
      if (part < 0 || reading.position[token] === 0) continue;
      const act = actAt(row, token, rule.latent);
      if (act <= rule.above) continue;
      const startOffset = fileOffset(source, part, reading.tokens.start[token] ?? 0);
      const endOffset = fileOffset(source, part, reading.tokens.end[token] ?? 0);
      const before = found.at(-1);
      if (before && last === token - 1)
        found[found.length - 1] = { ...before, endOffset, act: Math.max(act, before.act) };
      else found.push({ rule, startOffset, endOffset, act });
      last = token;
    }
    return found;
  });
}

/** What is said about a place. */
export function findingText({ rule, act }: RuleFinding, label: string | undefined): string {
  const { latent, above, message } = rule;
  const name = label === undefined ? `#${latent}` : `#${latent} (${label})`;
  const figures = `${name} at ${Number(act.toPrecision(3))}, above ${above}`;
  return message === undefined ? figures : `${message} (${figures})`;
}

function actAt(row: ContextReading["saes"][string], token: number, latent: number): number {
  for (let at = row.offsets[token] ?? 0; at < (row.offsets[token + 1] ?? 0); at++)
    if (row.latents[at] === latent) return Math.abs(row.acts[at] ?? 0);
  return 0;
}

function badRule(where: string, key: string, found: unknown, expected: string): UserError {
  return new UserError(
    "bad-latents-file",
    `${where}: ${key} is ${JSON.stringify(found) ?? "missing"}; expected ${expected}`,
  );
}
