/** Models and SAEs to choose from: what is loaded, bundled, named in `latents.jsonc` or in the Hub's cache. */
import { basename, dirname, join } from "node:path";
import { exists, listFiles } from "../files/disk.ts";
import { listHubCache } from "../files/hub.ts";
import type { PageMethods } from "../protocol/page.ts";
import { OpenDocument } from "./documents.ts";
import type { Workbench } from "./workbench.ts";

type Available = ReturnType<PageMethods["available"]>;
type Entry = Available["lms"][number];

/** Files that mark the folder of an SAE in one of the field's formats. */
const saeFile = /(^|\/)(cfg\.json|params\.npz|params\.safetensors|ae\.pt|hyperparams\.json)$/;
/** SAEs listed of one repository; some hold hundreds, which a picker cannot show. */
const mostPerRepository = 50;

/** Everything that the pickers offer, each place once; the first to name it wins. */
export function available(workbench: Workbench): Available {
  const lms = new Map<string, Entry>();
  const saes = new Map<string, Entry>();
  const used = pathsInUse(workbench);
  const add = (entries: Map<string, Entry>, entry: Omit<Entry, "inUse">): void => {
    if (!entries.has(entry.path))
      entries.set(entry.path, { ...entry, inUse: used.has(entry.path) });
  };
  for (const { lm, saes: texts, metas } of workbench.models.allReady()) {
    const detail = `${lm.family}, ${lm.n_layers} layers`;
    add(lms, { id: lm.id, path: lm.path, detail, loaded: true });
    for (const { id, path, architecture, d_sae, hook } of [...texts, ...metas])
      add(saes, { id, path, detail: `${architecture}, ${d_sae} latents, ${hook}`, loaded: true });
  }
  const { bundled } = workbench.options;
  const file = workbench.latentsFile;
  for (const [detail, choice] of [
    ["bundled demo", bundled],
    ["latents.jsonc", { lm: file?.lm, saes: file?.saes ?? [] }],
  ] as const) {
    if (choice.lm !== undefined) add(lms, notLoaded(choice.lm, detail));
    for (const { path, name } of choice.saes) add(saes, notLoaded(path, detail, name));
  }
  for (const { repo, folder } of listHubCache()) {
    const detail = "in the Hub cache";
    if (exists(join(folder, "config.json"))) add(lms, { ...notLoaded(repo, detail, repo) });
    const found = listFiles(folder).filter((it) => saeFile.test(it));
    for (const it of found.slice(0, mostPerRepository)) {
      const inside = dirname(it) === "." ? "" : `/${dirname(it)}`;
      add(saes, notLoaded(repo + inside, detail, repo + inside));
    }
  }
  return { lms: [...lms.values()], saes: [...saes.values()] };
}

/** What documents without front matter read: paths as they are listed, of weights that are loaded and that are not. */
function pathsInUse(workbench: Workbench): ReadonlySet<string> {
  const choice = workbench.choiceFor(new OpenDocument(""));
  const set = workbench.models.ready(choice);
  const chosen = set ? [set.lm, ...set.saes, ...set.metas] : choice.saes;
  return new Set([choice.lm, ...chosen.map(({ path }) => path)]);
}

function notLoaded(
  path: string,
  detail: string,
  name: string = basename(path),
): Omit<Entry, "inUse"> {
  return { id: name, path, detail, loaded: false };
}
