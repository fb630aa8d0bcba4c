/** `stitch`: what a wide SAE's latents are to a narrow one, and SAEs stitched of both. */
import {
  type Agreement,
  cosineRule,
  type PathPoint,
  type StitchChoice,
  type StitchedSae,
  type StitchParams,
  type StitchReport,
} from "../../protocol/stitching.ts";
import type { Engine } from "../engine.ts";

/** What `stitch --json` prints. */
export interface StitchResult extends Omit<StitchReport, "latents"> {
  readonly schemaVersion: 1;
  /** By wide latent; null where it was not measured. */
  readonly latents: readonly {
    readonly latent: number;
    readonly cosine: number;
    readonly nearest: number;
    readonly fired: number;
    readonly deltaMse: number | null;
    readonly deltaCe: number | null;
    /** Place in `components`; null for none. */
    readonly component: number | null;
    readonly label?: string;
  }[];
  readonly written?: StitchedSae;
}

/** What is asked. */
export interface StitchOptions extends Omit<StitchParams, "narrow" | "wide" | "lm">, StitchChoice {
  readonly saes: readonly [string, string];
  readonly lm: string;
  readonly output?: string;
  readonly signal?: AbortSignal;
}

/** Loads, measures, and writes where `output` names a folder. */
export async function stitchVerb(engine: Engine, options: StitchOptions): Promise<StitchResult> {
  const { saes, output, signal, insert, swap, ...rest } = options;
  const lm = (await engine.loadLm({ path: options.lm })).id;
  const infos = [
    await engine.loadSae({ path: saes[0], lm }),
    await engine.loadSae({ path: saes[1], lm }),
  ].toSorted((a, b) => a.d_sae - b.d_sae);
  const [narrow, wide] = infos as [(typeof infos)[0], (typeof infos)[0]];
  const params: StitchParams = { ...rest, lm, narrow: narrow.id, wide: wide.id };
  const { latents, ...report } = await engine.stitch(params, signal);
  const written =
    output === undefined
      ? {}
      : {
          written: await engine.writeStitched({ ...params, insert, swap, folder: output }, signal),
        };
  return {
    schemaVersion: 1,
    ...report,
    latents: Array.from(latents.cosine, (cosine, latent) => {
      const fired = latents.fired[latent] ?? 0;
      const deltaCe = latents.deltaCe[latent] ?? Number.NaN;
      const component = latents.component[latent] ?? -1;
      const label = wide.labels[latent];
      return {
        latent,
        cosine,
        nearest: latents.nearest[latent] ?? 0,
        fired,
        deltaMse: fired > 0 ? (latents.deltaMse[latent] ?? 0) : null,
        deltaCe: Number.isNaN(deltaCe) ? null : deltaCe,
        component: component < 0 ? null : component,
        ...(label === undefined ? {} : { label }),
      };
    }),
    ...written,
  };
}

/** The result for people. */
export function printStitchResult(result: StitchResult): string {
  const { narrow, wide, latents, components, path, written } = result;
  const above = latents.filter(({ component }) => component !== null).length;
  const sizes = components.map((it) => it.wide.length + it.narrow.length);
  const lines = [
    `${wide} (${latents.length} latents) beside ${narrow}, at ${result.hook}, on ${result.tokens} tokens`,
    `by cosine of decoder rows ${latents.length - above} novel, ${above} reconstruct narrow ones (${components.length} groups, the largest of ${Math.max(0, ...sizes)} latents)`,
    `by effect on the squared error, of the latents that fire: ${agreementText(result.byMse)}`,
    ...(result.byCe.latents > 0
      ? [`by effect on the cross-entropy, on a sample: ${agreementText(result.byCe)}`]
      : []),
    ...result.notes.map((it) => `note: ${it}`),
    "",
    `from ${narrow} to ${wide}; cross-entropy of the untouched model ${figure(result.cleanCe)}`,
    "phase   wide in  narrow out     MSE     FVU     L0      CE",
    ...path.map(pathLine),
    "",
    "novel latents that help most:",
    ...latents
      .filter((it) => it.component === null && (it.deltaMse ?? 0) < 0)
      .toSorted((a, b) => (a.deltaMse ?? 0) - (b.deltaMse ?? 0))
      .slice(0, 8)
      .map((it) =>
        `  #${it.latent} ΔMSE ${figure(it.deltaMse)}, on ${it.fired} tokens, cos ${it.cosine.toFixed(2)} with #${it.nearest} ${it.label ?? ""}`.trimEnd(),
      ),
  ];
  if (written)
    lines.push(
      "",
      `${written.folder}: ${written.d_sae} latents, ${written.inserted} of the wide SAE, ${written.removed} of the narrow one left out; FVU ${figure(written.fit.fvu)}, L0 ${figure(written.fit.l0)}, CE ${figure(written.fit.ce)}`,
    );
  return lines.join("\n");
}

function pathLine(point: PathPoint): string {
  const figures = [point.mse, point.fvu, point.l0, point.ce].map((it) => figure(it).padStart(7));
  return `${point.phase.padEnd(6)} ${String(point.inserted).padStart(8)} ${String(point.removed).padStart(11)} ${figures.join(" ")}`;
}

function agreementText(it: Agreement): string {
  const novel = it.bothNovel + it.novelByEffectOnly;
  const auc = it.auc === null ? "" : `, area under the curve ${it.auc.toFixed(2)}`;
  const best = `${percent(it.bestAgreement)} at a cosine of ${it.bestCosine.toFixed(2)}`;
  return `${novel} of ${it.latents} novel; agrees with the cosine rule (${cosineRule}) on ${percent(it.agreement)}, at best on ${best}${auc}`;
}

function figure(value: number | null): string {
  return value === null ? "–" : value.toPrecision(4);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
