/** Answers about latents, by the table `ExplorerMethods`. */
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import { writeFileAtomic } from "../files/disk.ts";
import type { ExplorerMethods, ExplorerSae } from "../protocol/explorer.ts";
import type { SaeInfo } from "../protocol/reader.ts";
import type { Handlers } from "../protocol/rpc.ts";
import { OpenDocument } from "./documents.ts";
import {
  contextsOf,
  dashboard,
  type LatentPoint,
  neuronpediaId,
  placesOf,
  testText,
} from "./explorer-dashboard.ts";
import { checkLatent, searchLatents } from "./explorer-search.ts";
import { labelOf } from "./labels.ts";
import type { ModelSet } from "./models.ts";
import { untrustedWorkspace } from "./runs-errors.ts";
import type { Workbench } from "./workbench.ts";

/** The handlers over a workbench. */
export function explorerHandlers(workbench: Workbench): Handlers<ExplorerMethods> {
  const changed = (): null => {
    workbench.reloadLabels();
    workbench.options.onChanged([...workbench.documents.values()]);
    return null;
  };
  const trusted = (): void => {
    if (!workbench.options.trusted) throw untrustedWorkspace();
  };
  const point = async ({ sae, latent }: { sae: string; latent: number }): Promise<LatentPoint> => {
    const found = await findSae(workbench, sae);
    checkLatent(found.sae, latent);
    return { workbench, ...found, latent, index: workbench.indexes.of(found.sae).index };
  };
  return {
    explorerSaes: ({ uri }) => explorerSaes(workbench, uri),
    latents: async ({ sae: id, ...asked }, signal) => {
      const { sae } = await findSae(workbench, id);
      return searchLatents(
        { workbench, sae, index: workbench.indexes.of(sae).index },
        asked,
        signal,
      );
    },
    latentDashboard: async (at, signal) => dashboard(await point(at), signal),
    latentContexts: async (at) => ({ contexts: contextsOf(await point(at)) }),
    latentPlaces: async ({ limit, ...at }, signal) => placesOf(await point(at), limit, signal),
    testLatent: async ({ text, ...at }, signal) => ({
      context: await testText(await point(at), text, signal),
    }),
    setLabel: async ({ text, ...at }) => {
      trusted();
      const { sae, latent } = await point(at);
      workbench.labels.set(sae.id, latent, text);
      return changed();
    },
    importLabels: async ({ sae: id, file }) => {
      trusted();
      const { sae } = await findSae(workbench, id);
      const result = await workbench.labels.import(sae, file);
      changed();
      return result;
    },
    exportLabels: async ({ sae: id, file }) => {
      trusted();
      const { sae } = await findSae(workbench, id);
      const source = neuronpediaId(workbench, sae, 0)?.replace(/\/0$/, "");
      const inFile = workbench.ownLabels[sae.id] ?? {};
      return { labels: workbench.labels.export(sae, file, { inFile, source }) };
    },
    latentAsPython: async (at) => ({ text: pythonOf(await point(at)) }),
    createIndexRun: async ({ sae: id, corpus, tokens }) => {
      trusted();
      const { set, sae } = await findSae(workbench, id);
      if (sae.metaOf !== undefined)
        throw new UserError(
          "meta-sae-reads-no-text",
          `${sae.id} is a meta-SAE: it reads the decoder rows of ${sae.metaOf}, not text; index ${sae.metaOf} instead`,
        );
      const folder = workbench.runs.freeFolder(`index-${sae.id.split("/").at(-1)}`);
      const ctx = Math.min(256, sae.n_ctx ?? 256, set.lm.n_ctx);
      const data = { kind: "files", lm: set.lm.path, files: corpus, ctx, maxTokens: tokens };
      const run = { kind: "index", sae: sae.path, data: { ...data, prependBos: sae.prependBos } };
      const opening = `// Index of ${sae.id}: made by "Latent Workbench: Index Corpus…".`;
      writeFileAtomic(join(folder, "run.jsonc"), `${opening}\n${JSON.stringify(run, null, 2)}\n`);
      return { folder };
    },
  };
}

async function explorerSaes(
  workbench: Workbench,
  uri: string | undefined,
): Promise<ReturnType<ExplorerMethods["explorerSaes"]>> {
  const document = (uri === undefined ? undefined : workbench.documents.get(uri)) ?? nowhere();
  const set = await workbench.models.load(workbench.choiceFor(document));
  return {
    lm: set.lm.id,
    saes: [...set.saes, ...set.metas].map((sae) => explorerSae(workbench, set, sae)),
    pinned: workbench.pinned.map(({ sae: id, latent, colour }) => {
      const sae = set.saes.find((it) => it.id === id);
      const label = sae && labelOf(workbench.latentsFile, sae, latent);
      return { sae: id, latent, colour, ...(label === undefined ? {} : { label }) };
    }),
  };
}

function explorerSae(workbench: Workbench, { lm }: ModelSet, sae: SaeInfo): ExplorerSae {
  const { index, problem } = workbench.indexes.of(sae);
  const own = workbench.latentsFile?.labels[sae.id] ?? {};
  const { id, d_sae, hook, architecture, metaOf } = sae;
  return {
    id,
    d_sae,
    hook,
    architecture,
    lm: lm.id,
    ...(metaOf === undefined ? {} : { metaOf }),
    labels: new Set([...Object.keys(own), ...Object.keys(sae.labels)]).size,
    ...(index
      ? {
          index: {
            folder: index.folder,
            tokens: index.manifest.corpus.tokens,
            counted: index.manifest.corpus.counted,
            files: index.manifest.corpus.files,
            builtAt: index.manifest.builtAt,
            active: index.summary.count.reduce((sum, count) => sum + Number(count > 0), 0),
          },
        }
      : {}),
    ...(problem === undefined ? {} : { problem }),
  };
}

/** An SAE that is loaded, or that is loaded now because nobody asked for it yet. */
export async function findSae(
  workbench: Workbench,
  id: string,
): Promise<{ set: ModelSet; sae: SaeInfo }> {
  const find = (sets: readonly ModelSet[]) =>
    sets.flatMap((set) => {
      const sae = [...set.saes, ...set.metas].find((it) => it.id === id);
      return sae ? [{ set, sae }] : [];
    })[0];
  const found =
    find(workbench.models.allReady()) ??
    find([await workbench.models.load(workbench.choiceFor(nowhere()))]);
  if (!found)
    throw new UserError(
      "not-in-use",
      `SAE ${id} is not in use; choose it with "Latent Workbench: Choose SAEs…"`,
    );
  return found;
}

/** A document without front matter: what is used where nothing else is said. */
function nowhere(): OpenDocument {
  return new OpenDocument("");
}

/** Python for SAELens 6 (`SAE.load_from_disk` reads its own folders, `from_pretrained` releases). */
function pythonOf({ set, sae, latent }: LatentPoint): string {
  return `from sae_lens import HookedSAETransformer, SAE

sae = SAE.load_from_disk(${JSON.stringify(sae.path)})
model = HookedSAETransformer.from_pretrained(${JSON.stringify(set.lm.id)})
text = "…"
_, cache = model.run_with_cache(text, prepend_bos=${sae.prependBos ? "True" : "False"}, names_filter=${JSON.stringify(sae.hook)})
acts = sae.encode(cache[${JSON.stringify(sae.hook)}])[0, :, ${latent}]
for token, act in zip(model.to_str_tokens(text, prepend_bos=${sae.prependBos ? "True" : "False"}), acts.tolist()):
    print(f"{act:8.3f} {token!r}")
`;
}
