/** All about one latent, from the index, the labels, the reader and open documents. */
import type { TokenAbsorption } from "../protocol/absorption.ts";
import type {
  AbsorbedPlace,
  ExplorerMethods,
  LatentContext,
  LatentDashboard,
  LatentPlace,
  RelatedLatent,
} from "../protocol/explorer.ts";
import type { SaeInfo } from "../protocol/reader.ts";
import { noExample } from "../store/latent-index.ts";
import type { LatentIndex } from "../store/index-reader.ts";
import { counterpartsOf } from "./counterparts.ts";
import { absorberOf } from "./judged-words.ts";
import { labelOf } from "./labels.ts";
import type { ModelSet } from "./models.ts";
import { placesIn } from "./file-places.ts";
import { latentsAt } from "./token-card.ts";
import type { Workbench } from "./workbench.ts";

/** A latent with what is known around it. */
export interface LatentPoint {
  readonly workbench: Workbench;
  readonly set: ModelSet;
  readonly sae: SaeInfo;
  readonly latent: number;
  readonly index: LatentIndex | undefined;
}

/** Logits asked of the reader where no index has them. */
const fewLogits = 10;

/** Labels, logits, neighbours and figures. */
export async function dashboard(
  point: LatentPoint,
  signal?: AbortSignal,
): Promise<LatentDashboard> {
  const { workbench, sae, latent, index } = point;
  const corpus = index && corpusOf(point, index);
  const [logits, metaLatents] = await Promise.all([
    logitsOf(point, signal),
    metaLatentsOf(point, signal),
  ]);
  const id = neuronpediaId(workbench, sae, latent);
  return {
    sae: sae.id,
    latent,
    labels: workbench.labels.of(sae, latent, workbench.ownLabels),
    pinned: workbench.pinned.some((it) => it.sae === sae.id && it.latent === latent),
    ...(id === undefined ? {} : { neuronpediaId: id }),
    ...(logits ? { logits } : {}),
    ...(metaLatents ? { metaLatents } : {}),
    counterparts: counterpartsOf(
      { sae, latent, saes: point.set.saes },
      workbench.decoders,
      (other, it) => labelOf(workbench.latentsFile, other, it),
    ),
    ...(corpus ? { corpus } : {}),
  };
}

/** The contexts that an index keeps of a latent; none without an index. */
export function contextsOf({ latent, index }: LatentPoint): LatentContext[] {
  const row = index?.row("contexts", latent);
  if (!index || !row) return [];
  const { before, after } = index.manifest.sizes;
  const width = before + 1 + after;
  const [group, peak, start, length, acts] = ["group", "peak", "start", "length", "acts"].map(
    (name) => row[name]!,
  ) as [Uint8Array, Uint32Array, Uint32Array, Uint8Array, Float32Array];
  const contexts: LatentContext[] = [];
  for (const [at, from] of start.entries()) {
    if (group[at] === noExample) continue;
    const texts = index.tokenTexts(index.tokens(from, from + length[at]!));
    contexts.push({
      group: group[at]!,
      peak: peak[at]! - from,
      tokens: texts.map((text, i) => ({ text, act: acts[at * width + i]! })),
    });
  }
  return contexts;
}

/** Where a latent is active in open documents that are analysed; waits for their readings. */
export async function placesOf(
  { workbench, sae, latent }: LatentPoint,
  limit: number,
  signal?: AbortSignal,
): Promise<ReturnType<ExplorerMethods["latentPlaces"]>> {
  const places: LatentPlace[] = [];
  const absorbed: AbsorbedPlace[] = [];
  let total = 0;
  for (const document of workbench.documents.values()) {
    if (!workbench.isOn(document)) continue;
    const set = await workbench.modelsOf(document);
    if (!set.saes.some((it) => it.id === sae.id)) continue;
    const sought = { kind: "latent", latent } as const;
    const found = await placesIn(document, { workbench, sae: sae.id, sought, signal });
    total += found.length;
    for (const place of found.slice(0, limit - places.length))
      places.push({ ...place, act: place.act ?? 0 });
    const cases = { workbench, sae: sae.id, sought: { kind: "absorbed", latent }, signal } as const;
    for (const { verdict, ...place } of await placesIn(document, cases))
      if (verdict && absorbed.length < limit) absorbed.push({ ...place, ...roles(verdict) });
  }
  return { places, total, absorbed };
}

function roles(
  verdict: TokenAbsorption,
): Pick<AbsorbedPlace, "task" | "label" | "silent" | "absorber"> {
  const absorber = absorberOf(verdict);
  return {
    task: verdict.task,
    label: verdict.label ?? "",
    silent: (verdict.main ?? []).map(({ latent }) => latent),
    ...(absorber === undefined ? {} : { absorber }),
  };
}

/** A text of one's own, read by the model and the SAE. */
export async function testText(
  { workbench, set, sae, latent }: LatentPoint,
  text: string,
  signal?: AbortSignal,
): Promise<LatentContext> {
  const reading = await workbench.reader.call(
    "analyse",
    {
      stream: "explorer",
      lm: set.lm.id,
      saes: [sae.id],
      context: { kind: "plain", parts: [{ text, fileStart: 0 }] },
    },
    signal,
  );
  const tokens = reading.tokens.texts.map((it, token) => {
    const found = latentsAt(reading, sae.id, token).find((at) => at.latent === latent);
    // The first position's activations are of another size, and no index counts them.
    return { text: it, act: reading.position[token] === 0 ? 0 : (found?.activation ?? 0) };
  });
  const largest = Math.max(...tokens.map(({ act }) => Math.abs(act)), 0);
  return { group: 0, peak: tokens.findIndex(({ act }) => Math.abs(act) === largest), tokens };
}

/** `modelId/layer-sourceSet/index`, from the SAE's own config or from labels that were imported. */
export function neuronpediaId(
  workbench: Workbench,
  sae: SaeInfo,
  latent: number,
): string | undefined {
  const declared = sae.declared["neuronpedia_id"];
  const source = typeof declared === "string" ? declared : workbench.labels.sourceOf(sae.id);
  return source === undefined ? undefined : `${source}/${latent}`;
}

function corpusOf(point: LatentPoint, index: LatentIndex): LatentDashboard["corpus"] {
  const { latent } = point;
  const { summary, manifest } = index;
  const field = (name: string) => index.field("contexts", latent, name)!;
  const ids = field("token").filter((it) => it >= 0);
  const [counts, means] = [field("token.count"), field("token.value")];
  const related = (facet: "coactive" | "decoder" | "encoder"): RelatedLatent[] => {
    const latents = index.field(facet, latent, "latent") ?? new Int32Array();
    const values = index.field(facet, latent, "latent.value");
    const tokens = facet === "coactive" ? index.field(facet, latent, "count") : undefined;
    return [...latents].flatMap((other, at) =>
      other < 0
        ? []
        : [
            {
              ...withLabel(point, other),
              value: values?.[at] ?? 0,
              ...(tokens ? { count: tokens[at]! } : {}),
            },
          ],
    );
  };
  return {
    count: summary.count[latent]!,
    counted: manifest.corpus.counted,
    max: summary.max[latent]!,
    mean: summary.mean[latent]!,
    histogram: [...field("histogram")],
    tokens: index
      .tokenTexts(ids)
      .map((text, at) => ({ text, count: counts[at]!, mean: means[at]! })),
    coactive: related("coactive"),
    sampled: index.field("coactive", latent, "sampled")?.[0] ?? 0,
    decoder: related("decoder"),
    encoder: related("encoder"),
    quantiles: manifest.sizes.quantiles,
  };
}

async function logitsOf(
  { workbench, set, sae, latent, index }: LatentPoint,
  signal?: AbortSignal,
): Promise<LatentDashboard["logits"]> {
  const row = index?.row("effects", latent);
  if (index && row) {
    const list = (name: string) =>
      index
        .tokenTexts([...row[name]!].filter((it) => it >= 0))
        .map((text, at) => ({ text, value: row[`${name}.value`]![at]! }));
    return { top: list("top"), bottom: list("bottom") };
  }
  if (sae.metaOf !== undefined) return undefined;
  const asked = { lm: set.lm.id, sae: sae.id, latents: [latent], k: fewLogits };
  const { texts, values } = await workbench.reader.call("logitEffects", asked, signal);
  const top = (texts[0] ?? []).map((text, at) => ({ text, value: values[0]?.[at] ?? 0 }));
  return top.length === 0 ? undefined : { top, bottom: [] };
}

async function metaLatentsOf(
  { workbench, set, sae, latent }: LatentPoint,
  signal?: AbortSignal,
): Promise<LatentDashboard["metaLatents"]> {
  const meta = set.metas.find((it) => it.metaOf === sae.id);
  if (!meta) return undefined;
  const found = (await workbench.facts.metaLatents(meta.id, [latent], signal)).get(latent);
  const parts = (found?.parts ?? []).map(({ latent: part, activation }) => {
    const label = labelOf(workbench.latentsFile, meta, part);
    return { latent: part, value: activation, ...(label === undefined ? {} : { label }) };
  });
  return { meta: meta.id, parts };
}

function withLabel(
  { workbench, sae }: LatentPoint,
  latent: number,
): Pick<RelatedLatent, "latent" | "label"> {
  const label = labelOf(workbench.latentsFile, sae, latent);
  return { latent, ...(label === undefined ? {} : { label }) };
}
