/** Answers about runs, by the table `RunMethods`. */
import { basename, dirname, join } from "node:path";
import { readText, writeFileAtomic } from "../files/disk.ts";
import type { RunMethods, TrainChoices } from "../protocol/runs.ts";
import type { Handlers } from "../protocol/rpc.ts";
import { OpenDocument } from "./documents.ts";
import { withAbsolutePaths } from "./runs-adopt.ts";
import { readRunSummary } from "./runs-config.ts";
import { noFinishedSae, untrustedWorkspace } from "./runs-errors.ts";
import { newRunFile } from "./runs-new.ts";
import type { Workbench } from "./workbench.ts";

/** The handlers over a workbench. */
export function runHandlers(workbench: Workbench): Handlers<RunMethods> {
  const { runs } = workbench;
  const trusted = (): void => {
    if (!workbench.options.trusted) throw untrustedWorkspace();
  };
  return {
    runs: async () => ({ folder: runs.roots[0] ?? "", runs: await runs.list() }),
    runCurves: async ({ folder, sae, ...range }) => (await runs.log(folder)).curves(sae, range),
    trainChoices: ({ uri }) => trainChoices(workbench, uri),
    createRun: (answers) => {
      trusted();
      const folder = runs.freeFolder(answers.name);
      const text = newRunFile(answers, workbench.settings);
      writeFileAtomic(join(folder, "run.jsonc"), text);
      return { folder };
    },
    adoptRun: ({ file }) => {
      trusted();
      // A file that cannot be read as a run is refused before a folder is made for it.
      readRunSummary(file);
      if (basename(file) === "run.jsonc" && runs.holds(dirname(file)))
        return { folder: dirname(file) };
      const name = basename(file).replace(/(\.?run)?\.jsonc?$/, "");
      const folder = runs.freeFolder(name || basename(dirname(file)));
      const text = withAbsolutePaths(readText(file), dirname(file));
      writeFileAtomic(join(folder, "run.jsonc"), text);
      return { folder };
    },
    startRun: ({ folder }) => {
      trusted();
      return runs.start(folder);
    },
    stopRun: ({ folder, kill }) => {
      runs.stop(folder, kill);
      return null;
    },
    deleteRun: ({ folder }) => {
      trusted();
      runs.remove(folder);
      return null;
    },
    useRun: ({ folder, sae }) => useRun(workbench, folder, sae),
  };
}

/** The model and the SAEs in use; loads them, because their widths decide the defaults. */
async function trainChoices(workbench: Workbench, uri: string | undefined): Promise<TrainChoices> {
  const document = (uri === undefined ? undefined : workbench.documents.get(uri)) ?? nowhere();
  const { lm, saes, metas } = await workbench.models.load(workbench.choiceFor(document));
  const [first] = saes;
  const middle = `blocks.${Math.floor(lm.n_layers / 2)}.hook_resid_post`;
  return {
    lm: { id: lm.id, path: lm.path, layers: lm.n_layers },
    d_model: lm.d_model,
    n_ctx: Math.min(first?.n_ctx ?? lm.n_ctx, lm.n_ctx),
    prependBos: first?.prependBos ?? true,
    hook: first?.hook ?? middle,
    saes: [...saes, ...metas].map(({ id, path, d_out, d_sae }) => ({
      id,
      path,
      d_in: d_out,
      d_sae,
    })),
  };
}

/** Adds the SAE to those in use, if it belongs to the model in use; else uses it alone with its own model. */
async function useRun(
  workbench: Workbench,
  folder: string,
  id: string | undefined,
): Promise<{ lm?: string; saes: string[] }> {
  const { name, lm, saes } = await workbench.runs.info(folder);
  const sae = saes.find((it) => it.path !== undefined && (id === undefined || it.id === id));
  if (sae?.path === undefined) throw noFinishedSae(name);
  const added = [sae.path, ...(sae.metaPath === undefined ? [] : [sae.metaPath])];
  const now = workbench.choiceFor(nowhere());
  const same = lm === undefined || lm === now.lm;
  const others = same ? now.saes.map((it) => it.name ?? it.path) : [];
  const choice = {
    ...(same ? {} : { lm }),
    saes: [...others.filter((it) => !added.includes(it)), ...added],
  };
  workbench.use(choice);
  return choice;
}

/** A document without front matter: what is used where nothing else is said. */
function nowhere(): OpenDocument {
  return new OpenDocument("");
}
