/** What LSP's diagnostics say: places that break the rules of `latents.jsonc` and, where asked for, absorbed words. */
import { type Diagnostic, DiagnosticSeverity } from "vscode-languageserver/node";
import { findingText, isAbout, ruleFindings, type RuleSeverity } from "../text/latent-rules.ts";
import { LineStarts } from "../text/line-starts.ts";
import type { OpenDocument } from "../workbench/documents.ts";
import { labelOf } from "../workbench/labels.ts";
import { patternPath } from "../workbench/places.ts";
import type { Workbench } from "../workbench/workbench.ts";
import { absorptionDiagnostics } from "./absorption-diagnostics.ts";
import { visible } from "./markdown.ts";

const severities: Readonly<Record<RuleSeverity, DiagnosticSeverity>> = {
  error: DiagnosticSeverity.Error,
  warning: DiagnosticSeverity.Warning,
  information: DiagnosticSeverity.Information,
  hint: DiagnosticSeverity.Hint,
};

/** What is to be sent to the editor about a document. */
export interface DiagnosticsNews {
  readonly uri: string;
  readonly version?: number;
  readonly diagnostics: Diagnostic[];
}

/** Sends what is new: nothing for documents that never had a problem. */
export class Problems {
  readonly #send: (news: DiagnosticsNews) => void;
  readonly #sent = new Map<string, string>();

  constructor(send: (news: DiagnosticsNews) => void) {
    this.#send = send;
  }

  /** Looks at documents that changed or were read. One that is being read keeps what it had. */
  update(workbench: Workbench, documents: readonly OpenDocument[]): void {
    for (const document of documents) {
      const isOpen = workbench.documents.get(document.uri) === document;
      if (isOpen && workbench.analyses.isWorking(document)) continue;
      const diagnostics = isOpen
        ? [...brokenRules(workbench, document), ...absorptionDiagnostics(workbench, document)]
        : [];
      const text = JSON.stringify(diagnostics);
      if ((this.#sent.get(document.uri) ?? "[]") === text) continue;
      this.#sent.set(document.uri, text);
      const version = document.version >= 0 ? { version: document.version } : {};
      this.#send({ uri: document.uri, ...version, diagnostics });
    }
  }

  /** Takes back what was said about a document that closed. */
  forget(uri: string): void {
    if (this.#sent.delete(uri)) this.#send({ uri, diagnostics: [] });
  }
}

function brokenRules(workbench: Workbench, document: OpenDocument): Diagnostic[] {
  const path = patternPath(document.uri);
  const rules = (workbench.latentsFile?.rules ?? []).filter((rule) => isAbout(rule, path));
  const set = workbench.models.ready(workbench.choiceFor(document));
  if (rules.length === 0 || !set || !workbench.isOn(document)) return [];
  const lines = new LineStarts(document.text);
  return document.contexts.flatMap(({ source, readings }) =>
    [...readings.values()].flatMap(({ value }) =>
      (value ? ruleFindings(rules, source, value) : []).map((finding) => {
        const { rule, startOffset, endOffset } = finding;
        const sae = set.saes.find((it) => it.id === rule.sae);
        const label = sae && labelOf(workbench.latentsFile, sae, rule.latent);
        return {
          range: { start: lines.position(startOffset), end: lines.position(endOffset) },
          severity: severities[rule.severity],
          source: "Latent Workbench",
          code: `${rule.sae}#${rule.latent}`,
          message: visible(findingText(finding, label)),
        };
      }),
    ),
  );
}
