/**
 * Latents as one HTML file that stands by itself: no scripts, no links, nothing from elsewhere (its content security policy allows
 * the styles in it and no more), every text escaped. Pure: the same latents give the same file.
 */
import { visibleText } from "../base/visible-text.ts";
import type { LatentContext, LatentDashboard, RelatedLatent } from "../protocol/explorer.ts";

/** One latent with its contexts. */
export interface ExportedLatent {
  readonly dashboard: LatentDashboard;
  readonly contexts: readonly LatentContext[];
}

/** What the file says of where they are from. */
export interface ExportSource {
  readonly lm: string;
  readonly sae: string;
  readonly hook: string;
  readonly d_sae: number;
  /** Files of the corpus and tokens read, if there is an index. */
  readonly corpus?: { readonly files: readonly string[]; readonly tokens: number };
}

/** Contexts of a latent that are written at most. */
const mostContexts = 24;

/** The file's text. */
export function latentsHtml(source: ExportSource, latents: readonly ExportedLatent[]): string {
  const title = `${source.sae}: ${latents.map(({ dashboard }) => `#${dashboard.latent}`).join(", ")}`;
  const { corpus } = source;
  const about = [
    `${source.lm}, ${source.sae} at ${source.hook}, ${source.d_sae} latents`,
    corpus
      ? `contexts from ${corpus.tokens} tokens of ${corpus.files.join(", ")}`
      : "no index: without contexts and density",
  ];
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escapeHtml(source.sae)}</h1>
<p class="quiet">${about.map(escapeHtml).join("<br>")}</p>
${latents.map(sectionOf).join("\n")}
</main>
</body>
</html>
`;
}

/** Text as HTML shows it: markup escaped, what is invisible made visible. */
export function escapeHtml(text: string): string {
  return visibleText(text).replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);
}

function sectionOf({ dashboard, contexts }: ExportedLatent): string {
  const { latent, labels, corpus, logits, metaLatents, neuronpediaId } = dashboard;
  const facts = [
    ...(corpus
      ? [
          `density ${figure((100 * corpus.count) / corpus.counted)} % (${corpus.count} of ${corpus.counted} tokens)`,
          `max ${figure(corpus.max)}`,
          `mean when active ${figure(corpus.mean)}`,
        ]
      : []),
    ...(neuronpediaId === undefined ? [] : [`Neuronpedia ${neuronpediaId}`]),
  ];
  const tokens = (list: readonly { text: string; value: number }[]): string[][] =>
    list.map(({ text, value }) => [escapeHtml(text), figure(value)]);
  return `<section>
<h2>#${latent}</h2>
${labels
  .map(
    ({ text, author, date }) =>
      `<p class="label">${escapeHtml(text)}<span class="quiet">${escapeHtml(
        [author, date]
          .filter(Boolean)
          .map((it) => ` · ${it}`)
          .join(""),
      )}</span></p>`,
  )
  .join("\n")}
<p class="quiet">${facts.map(escapeHtml).join(" · ")}</p>
${corpus ? histogramOf(corpus.histogram, corpus.max) : ""}
<div class="tables">
${table("Logits that it raises", ["token", "effect"], tokens(logits?.top ?? []))}
${table("Logits that it lowers", ["token", "effect"], tokens(logits?.bottom ?? []))}
${table(
  "Tokens",
  ["token", "times", "mean"],
  (corpus?.tokens ?? []).map((it) => [escapeHtml(it.text), String(it.count), figure(it.mean)]),
)}
${related("Nearest decoder rows", corpus?.decoder)}
${related("Active together", corpus?.coactive)}
${metaLatents ? related(`Meta-latents (${metaLatents.meta})`, metaLatents.parts) : ""}
</div>
${contexts
  .slice(0, mostContexts)
  .map((context) => contextOf(context, corpus?.max ?? 0))
  .join("\n")}
</section>`;
}

/** A context; its colours go up to the largest activation of the latent, so that weak contexts look weak. */
function contextOf({ group, tokens }: LatentContext, max: number): string {
  const largest = Math.max(...tokens.map(({ act }) => Math.abs(act)));
  const shown = tokens.map(({ text, act }) => {
    const heat = act === 0 ? 0 : Math.ceil(5 * Math.min(1, Math.abs(act) / max));
    const title = act === 0 ? "" : ` title="${figure(act)}"`;
    return `<span class="h${heat}"${title}>${escapeHtml(text)}</span>`;
  });
  const name = group === 0 ? "strongest" : `quantile ${group}`;
  return `<p class="context"><span class="quiet">${name}, ${figure(largest)}</span> ${shown.join("")}</p>`;
}

/** Bars of equal width from 0 to the largest activation, by the square root of their counts; each says its own count. */
function histogramOf(counts: readonly number[], max: number): string {
  const most = Math.max(...counts.map(Math.sqrt), 1);
  const width = 300 / counts.length;
  const bars = counts.map((count, bin) => {
    const height = (60 * Math.sqrt(count)) / most;
    const range = `${figure((max * bin) / counts.length)} to ${figure((max * (bin + 1)) / counts.length)}`;
    return `<rect x="${(bin * width).toFixed(1)}" y="${(60 - height).toFixed(1)}" width="${Math.max(0.5, width - 1).toFixed(1)}" height="${height.toFixed(1)}"><title>${range}: ${count} tokens</title></rect>`;
  });
  return `<figure><svg viewBox="0 0 300 60" width="300" height="60" role="img" aria-label="Tokens by activation, from 0 to ${figure(max)}">${bars.join("")}</svg><figcaption class="quiet">tokens by activation, 0 to ${figure(max)}; heights by the square root</figcaption></figure>`;
}

function related(title: string, list: readonly RelatedLatent[] | undefined): string {
  const rows = (list ?? []).map((it) => [
    `#${it.latent}`,
    figure(it.value),
    escapeHtml(it.label ?? ""),
  ]);
  return table(title, ["latent", "value", "label"], rows);
}

/** A table of cells that are HTML already; nothing for no rows. */
function table(title: string, head: readonly string[], rows: readonly string[][]): string {
  if (rows.length === 0) return "";
  return `<table><caption>${escapeHtml(title)}</caption><thead>${row(head, "th")}</thead><tbody>${rows.map((it) => row(it, "td")).join("")}</tbody></table>`;
}

function row(cells: readonly string[], tag: "td" | "th"): string {
  return `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join("")}</tr>`;
}

function figure(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e6)) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

const style = `
:root { color-scheme: light dark; }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; color: CanvasText; background: Canvas; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
.quiet, caption { color: color-mix(in srgb, CanvasText 70%, Canvas); }
.label { margin: 0; font-weight: 600; }
.label .quiet { font-weight: 400; }
section { border-top: 1px solid GrayText; margin-top: 1.5rem; }
.tables { display: flex; flex-wrap: wrap; gap: 1rem 2rem; align-items: start; }
table { border-collapse: collapse; }
caption { text-align: left; }
th, td { padding: 1px 12px 1px 0; text-align: left; font-weight: 400; }
td { font-family: ui-monospace, monospace; white-space: pre-wrap; }
.context { font-family: ui-monospace, monospace; white-space: pre-wrap; }
figure { margin: 0.5rem 0; }
rect { fill: #d9822b; }
.h1 { background: #d9822b1f; } .h2 { background: #d9822b3d; } .h3 { background: #d9822b5c; } .h4 { background: #d9822b7a; } .h5 { background: #d9822b99; }
`;
