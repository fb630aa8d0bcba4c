/** Inlay hints and code lenses in LSP's shapes. */
import type { CodeLens, InlayHint, Range } from "vscode-languageserver/node";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { mayStart, progressText } from "../protocol/runs-text.ts";
import type { OpenDocument } from "../workbench/documents.ts";
import { labelOf } from "../workbench/labels.ts";
import { LineStarts } from "../text/line-starts.ts";
import { tokenRange } from "../workbench/positions.ts";
import { latentsAt } from "../workbench/token-card.ts";
import type { Workbench } from "../workbench/workbench.ts";
import { figure, shortened, visible } from "./markdown.ts";

/** The strongest latent behind each token of a range, for contexts that are read already. */
export function inlayHints(workbench: Workbench, uri: string, range: Range): InlayHint[] {
  const document = workbench.documents.get(uri);
  const set = document && workbench.models.ready(workbench.choiceFor(document));
  const sae = set?.saes[0];
  if (!document || !sae || !workbench.settings.inlayHints || !workbench.isOn(document)) return [];
  const lines = new LineStarts(document.text);
  const from = lines.startOf(range.start.line);
  const to = lines.startOf(range.end.line + 1);
  const hints: InlayHint[] = [];
  for (const state of document.contexts) {
    const reading = state.readings.get(sae.prependBos ? "bos" : "no-bos")?.value;
    if (!reading) continue;
    for (let index = 0; index < reading.tokens.ids.length; index++) {
      const at = tokenRange(state.source, reading.tokens, index);
      if (!at || at.startOffset < from || at.endOffset > to) continue;
      const [top] = latentsAt(reading, sae.id, index, 1);
      if (!top) continue;
      const label = labelOf(workbench.latentsFile, sae, top.latent);
      hints.push({
        position: lines.position(at.endOffset),
        label: label ? visible(shortened(label, 24)) : `#${top.latent}`,
        tooltip: `#${top.latent} at ${figure(top.activation)}${label ? `: ${visible(label)}` : ""}`,
        paddingLeft: true,
      });
    }
  }
  return hints;
}

/**
 * Lenses above a run file, once it is open in the editor: start, go on or stop, and its training page where it is
 * the file of a run.
 */
export async function runLenses(workbench: Workbench, uri: string): Promise<CodeLens[]> {
  if (!workbench.settings.codeLens || !workbench.documents.has(uri) || !isRunFile(uri)) return [];
  const range = { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } };
  const lens = (title: string, command: string, argument: unknown): CodeLens => ({
    range,
    command: { title, command: `latentWorkbench.${command}`, arguments: [argument] },
  });
  const folder = dirname(fileURLToPath(uri));
  const isOfRun = /\/run\.jsonc?$/i.test(uri) && workbench.runs.holds(folder);
  if (!isOfRun) return [lens("$(play) Train", "trainFromFile", { uri })];
  const run = await workbench.runs.info(folder);
  const isIndex = run.kind === "index";
  const start = run.resumable ? "$(play) Resume" : isIndex ? "$(play) Index" : "$(play) Train";
  return [
    ...(mayStart(run) ? [lens(start, "trainFromFile", { uri })] : []),
    ...(run.state === "running" ? [lens("$(debug-stop) Stop", "stopRun", { folder })] : []),
    lens(
      `${run.state}: ${progressText(run)}`,
      isIndex ? "exploreLatents" : "openTrainingPage",
      isIndex ? {} : { folder },
    ),
  ];
}

/** True for `run.jsonc` and `NAME.run.jsonc` on the disk. */
function isRunFile(uri: string): boolean {
  return uri.startsWith("file:") && /(\/|\.)run\.jsonc?$/i.test(uri);
}

/** One lens above the file: model, SAE, tokens, mean L0 and FVU over what is read (position 0 left out). */
export function codeLenses(workbench: Workbench, uri: string): CodeLens[] {
  const document = workbench.documents.get(uri);
  const [first] = document?.contexts ?? [];
  if (!document || !first || !workbench.settings.codeLens || !workbench.isOn(document)) return [];
  const status = workbench.status(document);
  const set = workbench.models.ready(workbench.choiceFor(document));
  const start = new LineStarts(document.text).position(first.source.parts[0]?.fileStart ?? 0);
  const range = { start: { line: start.line, character: 0 }, end: start };
  const lens = (title: string): CodeLens => ({
    range,
    command: { title, command: "latentWorkbench.openTextPage", arguments: [{ uri }] },
  });
  const said = status.state === "ready" ? [] : [lens(`Latent Workbench: ${status.text}`)];
  if (!set) return said;
  const failed = status.state === "failed" ? said : [];
  const lenses = set.saes.flatMap((sae) => {
    const figures = figuresOf(document, sae.id, sae.prependBos);
    if (figures.contexts === 0)
      return status.state === "failed" ? [] : [lens(`${set.lm.id} · ${sae.id} · ${status.text}`)];
    const waiting =
      figures.contexts < document.contexts.length
        ? ` · ${figures.contexts} of ${document.contexts.length} contexts read`
        : "";
    const measured = `${figures.tokens} tokens · mean L0 ${figure(figures.l0)} · FVU ${figure(figures.fvu)}`;
    return [lens(`${set.lm.id} · ${sae.id} · ${measured}${waiting}`)];
  });
  return [...lenses, ...failed];
}

/** Mean L0 and FVU = Σ(x − x_hat)² / Σ(x − mean x)², tokens at position > 0, mean of each context apart. */
function figuresOf(
  document: OpenDocument,
  sae: string,
  prependBos: boolean,
): { contexts: number; tokens: number; l0: number; fvu: number } {
  let [contexts, tokens, counted, active, error, variance] = [0, 0, 0, 0, 0, 0];
  for (const state of document.contexts) {
    const reading = state.readings.get(prependBos ? "bos" : "no-bos")?.value;
    const row = reading?.saes[sae];
    if (!reading || !row) continue;
    contexts++;
    tokens += reading.tokens.ids.length;
    variance += row.variance;
    for (let index = 0; index < reading.tokens.ids.length; index++) {
      if ((reading.position[index] ?? 0) === 0) continue;
      counted++;
      active += (row.offsets[index + 1] ?? 0) - (row.offsets[index] ?? 0);
      error += row.squaredError[index] ?? 0;
    }
  }
  return {
    contexts,
    tokens,
    l0: counted === 0 ? 0 : active / counted,
    fvu: variance === 0 ? 0 : error / variance,
  };
}
