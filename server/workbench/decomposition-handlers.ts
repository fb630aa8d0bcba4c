/** Answers about levels of decomposition and repair, by the table `DecompositionMethods`. */
import { UserError } from "../base/errors.ts";
import type {
  DecompositionCandidate,
  DecompositionMethods,
  DecompositionTask,
} from "../protocol/decompositions.ts";
import type { SaeInfo } from "../protocol/reader.ts";
import type { Handlers } from "../protocol/rpc.ts";
import { checkTrusted, taskChoices } from "./absorption-handlers.ts";
import { available } from "./available.ts";
import { loadNamed } from "./load-named.ts";
import { modelsInUse } from "./models-in-use.ts";
import type { Workbench } from "./workbench.ts";

type Params<K extends keyof DecompositionMethods> = Parameters<DecompositionMethods[K]>[0];

/** The handlers over a workbench. */
export function decompositionHandlers(workbench: Workbench): Handlers<DecompositionMethods> {
  return {
    decompositionChoices: async ({ uri }) => {
      const { lm, saes, metas } = await modelsInUse(workbench, uri);
      const used = new Set([...saes, ...metas].map(({ path }) => path));
      return {
        lm: lm.id,
        candidates: candidates(workbench, used, lm.path),
        tasks: taskChoices(workbench),
      };
    },
    compareLevels: (params, signal) => compareLevels(workbench, params, signal),
    tryRepair: (params, signal) => tryRepair(workbench, params, signal),
    decompositionProgress: () => workbench.reader.call("decompositionProgress", {}),
  };
}

/** What is in use is chosen; where that is one SAE alone, those named beside the model too: one level is no comparison. */
function candidates(
  workbench: Workbench,
  used: ReadonlySet<string>,
  lm: string,
): DecompositionCandidate[] {
  const { latentsFile, options } = workbench;
  const named = [{ lm: latentsFile?.lm, saes: latentsFile?.saes ?? [] }, options.bundled]
    .filter((it) => it.lm === lm)
    .flatMap(({ saes }) => saes.map(({ path }) => path));
  const chosen = used.size > 1 ? used : new Set([...used, ...named]);
  return available(workbench).saes.map(({ id, path, detail }) => ({
    id,
    path,
    detail,
    chosen: chosen.has(path),
  }));
}

async function compareLevels(
  workbench: Workbench,
  { uri, paths, ...task }: Params<"compareLevels">,
  signal: AbortSignal,
): Promise<ReturnType<DecompositionMethods["compareLevels"]>> {
  const { lm, infos } = await load(workbench, { uri, paths, task });
  const saes = infos.filter(({ metaOf }) => metaOf === undefined);
  const metas = infos.filter(({ metaOf }) => metaOf !== undefined);
  const [first] = saes;
  if (!first)
    throw new UserError(
      "no-sae-chosen",
      "only meta-SAEs are chosen; choose the SAE whose latents they take apart, too",
    );
  const listed = saes.map((sae) => ({ sae: sae.id, metas: [] as string[] }));
  for (const meta of metas) {
    const root = rootOf(meta, infos);
    const fitting =
      saes.find(({ id }) => id === root.metaOf) ?? saes.find((it) => it.d_out === meta.d_in);
    if (!fitting)
      throw new UserError(
        "different-widths",
        `${meta.id} reads rows of width ${meta.d_in}, and no chosen SAE has such rows; choose ${root.metaOf ?? "its parent"}, too`,
      );
    listed.find(({ sae }) => sae === fitting.id)?.metas.push(meta.id);
  }
  return workbench.reader.call("levels", { ...task, lm, saes: listed }, signal);
}

/** The first meta-SAE of a stack of them, of those that are chosen. */
function rootOf(meta: SaeInfo, infos: readonly SaeInfo[], seen = new Set<string>()): SaeInfo {
  const parent = infos.find(({ id, metaOf }) => id === meta.metaOf && metaOf !== undefined);
  if (!parent || seen.has(parent.id)) return meta;
  return rootOf(parent, infos, seen.add(parent.id));
}

async function tryRepair(
  workbench: Workbench,
  { uri, sae, meta, ...task }: Params<"tryRepair">,
  signal: AbortSignal,
): Promise<ReturnType<DecompositionMethods["tryRepair"]>> {
  const { lm, infos } = await load(workbench, { uri, paths: [sae, meta], task });
  const [parent, parts] = infos as [SaeInfo, SaeInfo];
  if (parts.metaOf === undefined)
    throw new UserError(
      "no-meta-sae",
      `${parts.id} is no meta-SAE; choose one that reads the decoder rows of ${parent.id}`,
    );
  return workbench.reader.call("repair", { ...task, lm, sae: parent.id, meta: parts.id }, signal);
}

/** The model of a document, and SAEs by their paths, in the order asked. */
async function load(
  workbench: Workbench,
  asked: {
    readonly uri: string | undefined;
    readonly paths: readonly string[];
    readonly task: DecompositionTask;
  },
): Promise<{ lm: string; infos: SaeInfo[] }> {
  checkTrusted(workbench, asked.task);
  const { lm } = await modelsInUse(workbench, asked.uri);
  const infos: SaeInfo[] = [];
  for (const path of asked.paths) infos.push(await loadNamed(workbench, path, lm.id));
  return { lm: lm.id, infos };
}
