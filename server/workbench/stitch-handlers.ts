/** Answers to the stitching page, by its part of the table `DecoderPageMethods`. */
import { UserError } from "../base/errors.ts";
import type {
  DecoderPageMethods,
  NamedLatent,
  StitchFigures,
  StitchLatent,
  StitchQuestion,
} from "../protocol/decoder-pages.ts";
import type { SaeInfo } from "../protocol/reader.ts";
import type { Handlers } from "../protocol/rpc.ts";
import { cosineRule, type StitchParams, type StitchReport } from "../protocol/stitching.ts";
import { available } from "./available.ts";
import { labelOf } from "./labels.ts";
import { OpenDocument } from "./documents.ts";
import type { ModelSet } from "./models.ts";
import { loadNamed } from "./load-named.ts";
import { modelsInUse } from "./models-in-use.ts";
import type { Workbench } from "./workbench.ts";

/** Points of a scatter: more cannot be told apart on a screen. */
const mostPoints = 8000;
/** SAEs that are loaded in search of one that is narrower than the one in use. */
const mostTries = 3;

type Methods = Pick<
  DecoderPageMethods,
  | "stitchCandidates"
  | "stitchMeasure"
  | "stitchProgress"
  | "stitchLatents"
  | "stitchWrite"
  | "stitchUse"
>;

/** The last measurement of the page. */
interface Measured {
  readonly params: StitchParams;
  readonly paths: { readonly narrow: string; readonly wide: string; readonly lm: string };
  readonly report: StitchReport;
  readonly narrow: SaeInfo;
  readonly wide: SaeInfo;
}

/** The handlers over a workbench; there is one page, so one measurement is kept. */
export function stitchHandlers(workbench: Workbench): Handlers<Methods> {
  let last: Measured | undefined;
  const measured = (): Measured => {
    if (last) return last;
    throw new UserError("not-measured", "nothing has been measured yet; choose two SAEs first");
  };
  return {
    stitchCandidates: ({ uri }) => candidates(workbench, uri),
    stitchMeasure: async (question, signal) => {
      last = await measure(workbench, question, signal);
      return figures(last);
    },
    stitchProgress: () => workbench.reader.call("stitchProgress", {}),
    stitchLatents: (params) => listed(workbench, measured(), params),
    stitchUse: ({ folder }) => {
      const now = workbench.choiceFor(new OpenDocument("")).saes.map((it) => it.name ?? it.path);
      const saes = [...now.filter((it) => it !== folder), folder];
      workbench.use({ saes });
      return { saes };
    },
    stitchWrite: async (choice, signal) => {
      const { params, paths } = measured();
      if (!workbench.options.trusted)
        throw new UserError("untrusted", "SAEs are written in trusted workspaces only");
      await loadPair(workbench, paths);
      return workbench.reader.call("writeStitched", { ...params, ...choice }, signal);
    },
  };
}

/** SAEs that are known of, and two that belong together if such are in use, bundled with the model or named beside it. */
async function candidates(
  workbench: Workbench,
  uri: string | undefined,
): Promise<ReturnType<Methods["stitchCandidates"]>> {
  const set = await modelsInUse(workbench, uri);
  const [wide] = set.saes;
  const narrow = wide && (await narrowerOne(workbench, set, wide));
  const metas = new Set(set.metas.map(({ path }) => path));
  return {
    candidates: available(workbench)
      .saes.filter(({ path }) => !metas.has(path))
      .map(({ id, path, detail }) => ({ id, path, detail })),
    ...(wide && narrow ? { a: narrow.path, b: wide.path } : {}),
  };
}

/** A narrower SAE on the same hook point: of those in use, else the first of a few that are named for the model. */
async function narrowerOne(
  workbench: Workbench,
  { lm, saes, metas }: ModelSet,
  wide: SaeInfo,
): Promise<SaeInfo | undefined> {
  const { options, latentsFile } = workbench;
  const fits = (it: SaeInfo): boolean =>
    it.metaOf === undefined &&
    it.hook === wide.hook &&
    it.d_in === wide.d_in &&
    it.d_sae < wide.d_sae;
  const used = saes.find(fits);
  if (used) return used;
  const named = [{ lm: latentsFile?.lm, saes: latentsFile?.saes ?? [] }, options.bundled]
    .filter((it) => it.lm === lm.path)
    .flatMap((it) => it.saes.map(({ path }) => path));
  const loaded = new Set([...saes, ...metas].map(({ path }) => path));
  for (const path of named.filter((it) => !loaded.has(it)).slice(0, mostTries)) {
    const info = await loadNamed(workbench, path, lm.id);
    if (fits(info)) return info;
  }
  return undefined;
}

async function measure(
  workbench: Workbench,
  question: StitchQuestion,
  signal: AbortSignal,
): Promise<Measured> {
  const { a, b, uri, ...rest } = question;
  const { lm } = await modelsInUse(workbench, uri);
  const infos = await loadPair(workbench, { narrow: a, wide: b, lm: lm.path });
  const [narrow, wide] =
    infos.narrow.d_sae <= infos.wide.d_sae
      ? [infos.narrow, infos.wide]
      : [infos.wide, infos.narrow];
  const params: StitchParams = { ...rest, lm: infos.lm, narrow: narrow.id, wide: wide.id };
  const report = await workbench.reader.call("stitch", params, signal);
  const paths = { narrow: narrow.path, wide: wide.path, lm: lm.path };
  return { params, paths, report, narrow, wide };
}

/** Both SAEs and the model, loaded in the reader's present life. */
async function loadPair(
  workbench: Workbench,
  paths: Measured["paths"],
): Promise<{ narrow: SaeInfo; wide: SaeInfo; lm: string }> {
  const lm = (await workbench.reader.call("loadLm", { path: paths.lm })).id;
  const narrow = await loadNamed(workbench, paths.narrow, lm);
  return { narrow, wide: await loadNamed(workbench, paths.wide, lm), lm };
}

function figures({ report, narrow }: Measured): StitchFigures {
  const { latents, components, ...rest } = report;
  const fired = [...latents.fired.keys()].filter((it) => (latents.fired[it] ?? 0) > 0);
  const every = Math.max(1, Math.ceil(fired.length / mostPoints));
  const shown = fired.filter((_, at) => at % every === 0);
  return {
    ...rest,
    wideLatents: latents.cosine.length,
    narrowLatents: narrow.d_sae,
    fired: fired.length,
    novelByCosine: latents.cosine.filter((it) => it <= cosineRule).length,
    components: components.length,
    points: {
      latent: shown,
      cosine: shown.map((it) => latents.cosine[it] ?? 0),
      delta: shown.map((it) => latents.deltaMse[it] ?? 0),
    },
  };
}

function listed(
  workbench: Workbench,
  { report, narrow, wide }: Measured,
  params: Parameters<Methods["stitchLatents"]>[0],
): ReturnType<Methods["stitchLatents"]> {
  const { latents, components } = report;
  const { cosine, delta, sort, descending, from, to } = params;
  const found = [...latents.fired.keys()].filter(
    (it) =>
      (latents.fired[it] ?? 0) > 0 &&
      within(latents.cosine[it] ?? 0, cosine) &&
      within(latents.deltaMse[it] ?? 0, delta),
  );
  const key = latents[sort];
  // What was not measured comes last either way.
  const value = (latent: number): number => {
    const it = key[latent] ?? Number.NaN;
    return Number.isNaN(it) ? Number.POSITIVE_INFINITY : descending ? -it : it;
  };
  const ordered = found.toSorted((a, b) => value(a) - value(b) || a - b);
  const named = (sae: SaeInfo, latent: number): NamedLatent => {
    const label = labelOf(workbench.latentsFile, sae, latent);
    return { latent, ...(label === undefined ? {} : { label }) };
  };
  const rows = ordered.slice(from, to).map((latent): StitchLatent => {
    const deltaCe = latents.deltaCe[latent] ?? Number.NaN;
    const component = components[latents.component[latent] ?? -1];
    return {
      ...named(wide, latent),
      cosine: latents.cosine[latent] ?? 0,
      nearest: named(narrow, latents.nearest[latent] ?? 0),
      fired: latents.fired[latent] ?? 0,
      deltaMse: latents.deltaMse[latent] ?? 0,
      deltaCe: Number.isNaN(deltaCe) ? null : deltaCe,
      group: component ? component.wide.length + component.narrow.length : 0,
    };
  });
  return { total: found.length, rows };
}

function within(value: number, [low, high]: readonly [number, number]): boolean {
  return value >= low && value <= high;
}
