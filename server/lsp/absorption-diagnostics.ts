/**
 * Words that were absorbed as problems of the lowest kind, and what can be done about one. Verdicts hang on thresholds and on a probe
 * that was asked for, so they are shown only where the user wants them (`latentWorkbench.absorption.diagnostics`).
 */
import {
  type CodeAction,
  CodeActionKind,
  type Command,
  type Diagnostic,
  DiagnosticSeverity,
  type Range,
} from "vscode-languageserver/node";
import type { TokenAbsorption } from "../protocol/absorption.ts";
import type { AbsorptionCase } from "../protocol/occurrences.ts";
import { LineStarts } from "../text/line-starts.ts";
import type { OpenDocument } from "../workbench/documents.ts";
import { absorbedWords, absorberOf, type JudgedWord } from "../workbench/judged-words.ts";
import { labelOf } from "../workbench/labels.ts";
import { pin } from "../workbench/pins.ts";
import type { Workbench } from "../workbench/workbench.ts";
import { absorptionText } from "./absorption-markdown.ts";
import { figure, shortened, visible } from "./markdown.ts";

/** Of all our problems. */
const source = "Latent Workbench";
/** Commands of the server, for editors without our client. */
export const serverCommands = {
  pin: "latent-workbench.pinLatent",
  tell: "latent-workbench.tellAbsorption",
} as const;

/** One problem for each absorbed word; none unless the setting is on. */
export function absorptionDiagnostics(workbench: Workbench, document: OpenDocument): Diagnostic[] {
  if (!workbench.settings.absorptionDiagnostics || !workbench.isOn(document)) return [];
  const lines = new LineStarts(document.text);
  return absorbedWords(document).map((word) => ({
    range: rangeOf(lines, word),
    severity: DiagnosticSeverity.Information,
    source,
    code: "absorbed",
    message: messageOf(word),
  }));
}

/** What can be done about the absorbed words of a range. `client`: whether the editor has our client's commands. */
export function absorptionActions(
  workbench: Workbench,
  { uri, range }: { readonly uri: string; readonly range: Range },
  { client }: { readonly client: boolean },
): CodeAction[] {
  const document = workbench.documents.get(uri);
  if (!document || !workbench.settings.absorptionDiagnostics) return [];
  const lines = new LineStarts(document.text);
  const problems = absorptionDiagnostics(workbench, document);
  return absorbedWords(document).flatMap((word, at) => {
    if (!touches(rangeOf(lines, word), range)) return [];
    const actions = client ? clientActions(workbench, uri, word) : plainActions(uri, word);
    return actions.map((command) => ({
      title: command.title,
      kind: CodeActionKind.QuickFix,
      diagnostics: problems.slice(at, at + 1),
      command,
    }));
  });
}

/** Runs a command of the server; the answer is what to tell the user, if anything. Arguments are checked: anyone may send them. */
export function runServerCommand(
  workbench: Workbench,
  command: string,
  [argument]: readonly unknown[],
): string | undefined {
  const { uri, startOffset, sae, latent, task, label } = (argument ?? {}) as Record<
    string,
    unknown
  >;
  if (command === serverCommands.pin && typeof sae === "string" && typeof latent === "number") {
    pin(workbench, { sae, latent });
    return undefined;
  }
  const document = typeof uri === "string" ? workbench.documents.get(uri) : undefined;
  const word =
    command === serverCommands.tell && document
      ? absorbedWords(document).find(
          (it) =>
            it.startOffset === startOffset &&
            it.sae === sae &&
            it.verdict.task === task &&
            it.verdict.label === label,
        )
      : undefined;
  return word ? absorptionText(word.verdict) : "that word is not absorbed any more";
}

/** Commands of our client: fixed names, arguments as data. */
function clientActions(workbench: Workbench, uri: string, word: JudgedWord): Command[] {
  const { sae, verdict } = word;
  const absorber = absorberOf(verdict);
  const latents = [verdict.main?.[0]?.latent, absorber].filter((it) => it !== undefined);
  return [
    clientCommand("Open on the absorption page", "openAbsorptionPage", caseOf(uri, word)),
    ...latents.map((latent) =>
      clientCommand(`Show latent #${latent}${nameOf(workbench, sae, latent)}`, "exploreLatents", {
        sae,
        latent,
      }),
    ),
    ...(absorber === undefined
      ? []
      : [clientCommand(`Pin absorber #${absorber}`, "pinLatent", { sae, latent: absorber })]),
  ];
}

function clientCommand(title: string, name: string, argument: unknown): Command {
  return { title, command: `latentWorkbench.${name}`, arguments: [argument] };
}

/** What any editor can do. */
function plainActions(uri: string, word: JudgedWord): Command[] {
  const { sae, verdict } = word;
  const absorber = absorberOf(verdict);
  return [
    {
      title: "Say how it was judged",
      command: serverCommands.tell,
      arguments: [caseOf(uri, word)],
    },
    ...(absorber === undefined
      ? []
      : [
          {
            title: `Pin absorber #${absorber}`,
            command: serverCommands.pin,
            arguments: [{ sae, latent: absorber }],
          },
        ]),
  ];
}

function caseOf(uri: string, { sae, verdict, startOffset }: JudgedWord): AbsorptionCase {
  const { task, setting, label = "" } = verdict;
  return { uri, startOffset, sae, task, setting, label };
}

function messageOf({ verdict, text }: JudgedWord): string {
  const { task, label = "", main = [], strongest = [], projection = 0, probability = 0 } = verdict;
  const absorber = strongest.find(({ latent }) => latent === absorberOf(verdict));
  const share = absorber && projection > 0 ? absorber.projection / projection : 0;
  const took = absorber
    ? `; #${absorber.latent} carries ${share.toFixed(2)} of the projection`
    : "";
  return `${shown(text.trim())} is absorbed for ${shown(task)} “${shown(label)}”: ${silent(main)}${took} (probe ${probability.toFixed(2)}, F1 ${figure(verdict.probeF1 ?? 0)})`;
}

function silent(main: NonNullable<TokenAbsorption["main"]>): string {
  return main.map(({ latent }) => `#${latent} silent`).join(", ");
}

/** Text of files in a problem, which is plain text in every editor. */
function shown(text: string): string {
  return visible(shortened(text, 40));
}

function nameOf(workbench: Workbench, sae: string, latent: number): string {
  const info = workbench.models
    .allReady()
    .flatMap(({ saes }) => saes)
    .find(({ id }) => id === sae);
  const label = info && labelOf(workbench.latentsFile, info, latent);
  return label === undefined ? "" : ` (${shown(label)})`;
}

function rangeOf(lines: LineStarts, { startOffset, endOffset }: JudgedWord): Range {
  return { start: lines.position(startOffset), end: lines.position(endOffset) };
}

/** Ranges that share a character, or a cursor at an end of the other. */
function touches(a: Range, b: Range): boolean {
  return !isBefore(a.end, b.start) && !isBefore(b.end, a.start);
}

function isBefore(a: Range["start"], b: Range["start"]): boolean {
  return a.line < b.line || (a.line === b.line && a.character < b.character);
}
