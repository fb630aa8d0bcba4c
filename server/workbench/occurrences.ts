/**
 * Places in the files of a workspace where a latent fires or a word has a label: of open documents as they are in the editor,
 * of others as they lie on disk. Only files that are analysed are read, and only by models that are in use already.
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { UserError } from "../base/errors.ts";
import { fileSize, isFolder, listFolder, readText } from "../files/disk.ts";
import type { Occurrence, OccurrenceMethods, SoughtPlaces } from "../protocol/occurrences.ts";
import type { SaeInfo } from "../protocol/reader.ts";
import { OpenDocument } from "./documents.ts";
import { nameOf, pathOf, placesIn } from "./file-places.ts";
import { labelOf } from "./labels.ts";
import type { Workbench } from "./workbench.ts";

/** Files of a workspace that are looked at; more than a folder of prompts has. */
const mostFiles = 2000;
/** Larger files are no prompts. */
const mostBytes = 2_000_000;
/** Folders that hold other people's files. */
const foreignFolders = new Set(["node_modules", ".git", "out", "dist", ".venv", "__pycache__"]);

interface Search {
  readonly workbench: Workbench;
  readonly sae: SaeInfo;
  readonly sought: SoughtPlaces;
  readonly limit: number;
  readonly signal: AbortSignal;
}

type Found = Omit<ReturnType<OccurrenceMethods["occurrences"]>, "names">;

/** Looks through the workspace; `report` hears which file is read. */
export async function occurrences(
  search: Search,
  report: (text: string, share: number) => void,
): Promise<Found> {
  const { workbench, signal, limit } = search;
  const found: Found = { places: [], total: 0, files: 0, leftOut: [] };
  const documents = [...openDocuments(workbench), ...closedDocuments(workbench, found.leftOut)];
  for (const [at, document] of documents.entries()) {
    signal.throwIfAborted();
    const name = nameOf(workbench, document.uri);
    report(name, at / documents.length);
    try {
      const set = workbench.models.ready(workbench.choiceFor(document));
      if (!set?.saes.some((it) => it.id === search.sae.id)) {
        found.leftOut.push(`${name}: it is read by other models`);
        continue;
      }
      const places = await placesIn(document, { ...search, sae: search.sae.id });
      found.files++;
      found.total += places.length;
      found.places.push(...places.slice(0, Math.max(0, limit - found.places.length)));
    } catch (error) {
      if (!(error instanceof UserError) || error.code === "reader-restarted") throw error;
      found.leftOut.push(`${name}: ${error.message}`);
    } finally {
      if (workbench.documents.get(document.uri) !== document) await forget(workbench, document);
    }
  }
  return found;
}

/** Labels of the latents that verdicts name. */
export function namesIn(
  places: readonly Occurrence[],
  { latentsFile }: Workbench,
  sae: SaeInfo,
): Record<string, string> {
  const latents = places.flatMap(({ verdict }) => [
    ...(verdict?.main ?? []),
    ...(verdict?.strongest ?? []),
  ]);
  return Object.fromEntries(
    latents.flatMap(({ latent }) => {
      const label = labelOf(latentsFile, sae, latent);
      return label === undefined ? [] : [[String(latent), label]];
    }),
  );
}

function openDocuments(workbench: Workbench): OpenDocument[] {
  return [...workbench.documents.values()].filter((it) => workbench.isOn(it));
}

/** Files of the workspace that no editor shows and that the settings or their front matter switch on. */
function closedDocuments(workbench: Workbench, leftOut: string[]): OpenDocument[] {
  const open = new Set([...workbench.documents.keys()].map(pathOf));
  const documents: OpenDocument[] = [];
  const paths = workbench.options.workspaceFolders.flatMap((folder) => filesBelow(folder));
  if (paths.length > mostFiles)
    leftOut.push(`${paths.length - mostFiles} files behind the first ${mostFiles}`);
  for (const path of paths.slice(0, mostFiles)) {
    if (open.has(path)) continue;
    const document = new OpenDocument(pathToFileURL(path).href);
    // Without its text only the patterns speak; front matter is looked for where prose is.
    const byPattern = workbench.isOn(document);
    if (!byPattern && !/\.(md|txt|prompt|prompty)$/i.test(path)) continue;
    try {
      if (fileSize(path) > mostBytes) {
        if (byPattern) leftOut.push(`${nameOf(workbench, document.uri)}: it is larger than 2 MB`);
        continue;
      }
      document.update(0, readText(path), workbench.settings.contexts);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      if (byPattern) leftOut.push(error.message);
      continue;
    }
    if (workbench.isOn(document)) documents.push(document);
  }
  return documents;
}

/** Paths, sorted, at most one more than are looked at. Folders that cannot be read hold nothing for us. */
function filesBelow(folder: string, found: string[] = []): string[] {
  let names: string[] = [];
  try {
    names = listFolder(folder);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
  }
  for (const name of names) {
    if (found.length > mostFiles) break;
    const path = join(folder, name);
    if (!isFolder(path)) found.push(path);
    else if (!foreignFolders.has(name) && !name.startsWith(".")) filesBelow(path, found);
  }
  return found;
}

/** The reader keeps no caches of files that nobody looks at. */
async function forget(workbench: Workbench, document: OpenDocument): Promise<void> {
  document.forgetReadings();
  await workbench.reader
    .call("dropStreams", { prefix: document.streamPrefix })
    .catch(() => undefined);
}
