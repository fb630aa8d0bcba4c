/** Answers to the pages about decoders, by the table `DecoderPageMethods`. */
import { UserError } from "../base/errors.ts";
import type {
  DecoderPageMethods,
  MetaPair,
  MetaRow,
  NamedLatent,
} from "../protocol/decoder-pages.ts";
import { derivedLabel, explainedBins, type MetaLatent } from "../protocol/meta.ts";
import type { SaeInfo } from "../protocol/reader.ts";
import type { Handlers } from "../protocol/rpc.ts";
import { labelOf } from "./labels.ts";
import type { ModelSet } from "./models.ts";
import { modelsInUse } from "./models-in-use.ts";
import { stitchHandlers } from "./stitch-handlers.ts";
import type { Workbench } from "./workbench.ts";

/** Members that a derived label is made from. */
const membersForLabels = 8;

const made = new WeakMap<Workbench, Handlers<DecoderPageMethods>>();

/** The handlers over a workbench; the same at every call, because they remember what the pages look at. */
export function decoderHandlers(workbench: Workbench): Handlers<DecoderPageMethods> {
  const handlers = made.get(workbench) ?? handlersOver(workbench);
  made.set(workbench, handlers);
  return handlers;
}

function handlersOver(workbench: Workbench): Handlers<DecoderPageMethods> {
  const explorer = new MetaExplorer(workbench);
  return {
    ...stitchHandlers(workbench),
    metaPairs: async ({ uri }) => explorer.pairs(await modelsInUse(workbench, uri)),
    metaOverview: async ({ meta }, signal) => {
      const { id, parent } = explorer.pair(meta);
      return workbench.reader.call("metaSummary", { meta: id, parent }, signal);
    },
    metaSearch: (params, signal) => explorer.search(params, signal),
    metaBreakdown: async ({ meta, latent }, signal) => {
      const { id, parent } = explorer.pair(meta);
      explorer.require(parent, latent);
      const [found] = await workbench.reader.call(
        "metaLatents",
        { meta: id, parent, latents: [latent], k: 64 },
        signal,
      );
      if (!found) throw new Error("bug: a latent has no breakdown");
      const all = await explorer.members(meta, signal);
      return {
        ...found,
        ...(await explorer.parentNames(meta, signal))(latent),
        parts: found.parts.map((part) => ({
          ...part,
          ...explorer.nameMeta(meta, part.latent, all),
        })),
      };
    },
    metaMemberRows: async ({ meta, latent, from, to }, signal) => {
      const { id, parent } = explorer.pair(meta);
      explorer.require(id, latent);
      const asked = { meta: id, parent, latents: [latent], k: to };
      const [found] = await workbench.reader.call("metaMembers", asked, signal);
      const all = await explorer.members(meta, signal);
      const named = await explorer.parentNames(meta, signal);
      return {
        ...explorer.nameMeta(meta, latent, all),
        count: found?.count ?? 0,
        members: (found?.members ?? []).slice(from).map((it) => ({ ...it, ...named(it.latent) })),
      };
    },
    metaCompare: async ({ meta, narrow }, signal) => {
      const found = await workbench.reader.call("metaComparison", { meta, narrow }, signal);
      const { mean, meanBack, shuffledMean, best, bestBack } = found;
      const histograms = { histogram: histogram(best), histogramBack: histogram(bestBack) };
      return { narrow, mean, meanBack, shuffledMean, ...histograms };
    },
  };
}

/** What the explorer knows of the meta-SAEs that were asked for. */
class MetaExplorer {
  readonly #workbench: Workbench;
  /** By id, as of the last list of pairs. */
  #saes = new Map<string, SaeInfo>();
  /** First members of every meta-latent, by meta-SAE and life of the reader. */
  readonly #members = new Map<string, Promise<readonly MetaLatent[]>>();

  constructor(workbench: Workbench) {
    this.#workbench = workbench;
  }

  /** The meta-SAEs of a set. */
  pairs({ saes, metas }: ModelSet): MetaPair[] {
    if (metas.length === 0)
      throw new UserError(
        "no-meta-sae",
        `no meta-SAE is in use beside the SAE whose decoder it reads; choose both with "Latent Workbench: Choose SAEs…", or train one with "Latent Workbench: Train Meta-SAE…"`,
      );
    this.#saes = new Map([...saes, ...metas].map((sae) => [sae.id, sae]));
    return metas.map(({ id, metaOf = "", d_in }) => ({
      meta: id,
      parent: metaOf,
      narrower: saes.filter((sae) => sae.id !== metaOf && sae.d_out === d_in).map((sae) => sae.id),
    }));
  }

  /** Ids of a meta-SAE and its parent. */
  pair(meta: string): { id: string; parent: string } {
    const metaOf = this.#saes.get(meta)?.metaOf;
    if (metaOf === undefined)
      throw new UserError("not-loaded", `${meta} is not in use any more; open the page again`);
    return { id: meta, parent: metaOf };
  }

  /** Throws if an SAE has no such latent. */
  require(sae: string, latent: number): void {
    const { d_sae = 0 } = this.#saes.get(sae) ?? {};
    if (!Number.isInteger(latent) || latent < 0 || latent >= d_sae)
      throw new UserError(
        "no-such-latent",
        `${sae} has no latent ${latent}: its latents go from 0 to ${d_sae - 1}`,
      );
  }

  /** All meta-latents with their first members. */
  members(meta: string, signal?: AbortSignal): Promise<readonly MetaLatent[]> {
    const { reader } = this.#workbench;
    const key = `${reader.generation} ${meta}`;
    const known = this.#members.get(key);
    if (known) return known;
    const { id, parent } = this.pair(meta);
    const latents = [...Array(this.#saes.get(meta)?.d_sae ?? 0).keys()];
    const asked = { meta: id, parent, latents, k: membersForLabels };
    const found = reader.call("metaMembers", asked, signal);
    this.#members.set(key, found);
    found.catch(() => this.#members.delete(key));
    return found;
  }

  /** A latent of an SAE with its label. */
  named(sae: string, latent: number): NamedLatent {
    const info = this.#saes.get(sae);
    const label = info && labelOf(this.#workbench.latentsFile, info, latent);
    return { latent, ...(label === undefined ? {} : { label }) };
  }

  /** A meta-latent with its own label, or one made of its members'. */
  nameMeta(meta: string, latent: number, all: readonly MetaLatent[]): NamedLatent {
    const own = this.named(meta, latent);
    if (own.label !== undefined) return own;
    const { parent } = this.pair(meta);
    const label = derivedLabel(all[latent]?.members ?? [], (it) => this.named(parent, it).label);
    return { latent, ...(label === undefined ? {} : { label, derived: true as const }) };
  }

  /** Names of the parent's latents; of a stack, the parent's are meta-latents, too, and labels may be derived. */
  async parentNames(meta: string, signal?: AbortSignal): Promise<(latent: number) => NamedLatent> {
    const { parent } = this.pair(meta);
    if (this.#saes.get(parent)?.metaOf === undefined) return (it) => this.named(parent, it);
    const all = await this.members(parent, signal);
    return (it) => this.nameMeta(parent, it, all);
  }

  async search(
    { meta, of, query, from, to }: Parameters<DecoderPageMethods["metaSearch"]>[0],
    signal?: AbortSignal,
  ): Promise<ReturnType<DecoderPageMethods["metaSearch"]>> {
    const all = await this.members(meta, signal);
    const { parent } = this.pair(meta);
    const named = await this.parentNames(meta, signal);
    const rows: MetaRow[] =
      of === "meta"
        ? all
            .map((it) => ({ ...this.nameMeta(meta, it.latent, all), members: it.count }))
            .toSorted((a, b) => b.members - a.members || a.latent - b.latent)
        : [...Array(this.#saes.get(parent)?.d_sae ?? 0).keys()].map((it) => named(it));
    const found = rows.filter((row) => matches(row, query));
    return { total: found.length, rows: found.slice(from, to) };
  }
}

/** `12` or `#12` is that latent alone; other words must all be in the label. */
function matches({ latent, label }: NamedLatent, query: string): boolean {
  const wanted = query.trim().toLowerCase();
  if (wanted === "") return true;
  if (/^#?\d+$/.test(wanted)) return latent === Number(wanted.replace("#", ""));
  const text = label?.toLowerCase() ?? "";
  return wanted.split(/\s+/).every((word) => text.includes(word));
}

function histogram(cosines: Float32Array): number[] {
  const bins = Array.from({ length: explainedBins }, () => 0);
  for (const cosine of cosines) {
    const bin = Math.max(0, Math.min(explainedBins - 1, Math.floor(cosine * explainedBins)));
    bins[bin] = (bins[bin] ?? 0) + 1;
  }
  return bins;
}
