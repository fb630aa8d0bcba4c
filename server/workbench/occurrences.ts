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
const mostDepth = 12;
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
  const { workbench, signal } = search;
  const found: Found = { places: [], total: 0, files: 0, leftOut: [] };
  const open = [...workbench.documents.values()].filter((it) => workbench.isOn(it));
  for (const document of open) {
    report(nameOf(workbench, document.uri), 0);
    await lookThrough(document, search, found);
  }
  const paths = closedFiles(workbench, found.leftOut);
  for (const [at, path] of paths.entries()) {
    // Files that are not ours are passed over quickly, but there may be many: others have their turn in between.
    await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
    const document = fromDisk(workbench, path, found.leftOut);
    if (!document) continue;
    report(nameOf(workbench, document.uri), at / paths.length);
    try {
      await lookThrough(document, search, found);
    } finally {
      await forget(workbench, document);
    }
  }
  return found;
}

/** Adds a document's places, or the reason why it is left out. */
async function lookThrough(document: OpenDocument, search: Search, found: Found): Promise<void> {
  const { workbench, limit } = search;
  const name = nameOf(workbench, document.uri);
  const set = workbench.models.ready(workbench.choiceFor(document));
  if (!set?.saes.some((it) => it.id === search.sae.id)) {
    found.leftOut.push(`${name}: it is read by other models`);
    return;
  }
  try {
    const places = await placesIn(document, { ...search, sae: search.sae.id });
    found.files++;
    found.total += places.length;
    found.places.push(...places.slice(0, Math.max(0, limit - found.places.length)));
  } catch (error) {
    if (!(error instanceof UserError) || error.code === "reader-restarted") throw error;
    found.leftOut.push(`${name}: ${error.message}`);
  }
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

/** Paths of the workspace's files that no editor shows. */
function closedFiles(workbench: Workbench, leftOut: string[]): string[] {
  const open = new Set([...workbench.documents.keys()].map(pathOf));
  const paths = workbench.options.workspaceFolders.flatMap((folder) => filesBelow(folder));
  if (paths.length > mostFiles) leftOut.push(`files behind the first ${mostFiles}`);
  return paths.slice(0, mostFiles).filter((path) => !open.has(path));
}

/** A file that the settings or its front matter switch on. */
function fromDisk(workbench: Workbench, path: string, leftOut: string[]): OpenDocument | undefined {
  const document = new OpenDocument(pathToFileURL(path).href);
  // Without its text only the patterns speak; front matter is looked for where prose is.
  const byPattern = workbench.isOn(document);
  if (!byPattern && !/\.(md|txt|prompt|prompty)$/i.test(path)) return undefined;
  try {
    if (fileSize(path) > mostBytes) {
      if (byPattern) leftOut.push(`${nameOf(workbench, document.uri)}: it is larger than 2 MB`);
      return undefined;
    }
    document.update(0, readText(path), workbench.settings.contexts);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (byPattern) leftOut.push(error.message);
    return undefined;
  }
  return workbench.isOn(document) ? document : undefined;
}

/** Paths, sorted, at most one more than are looked at. Folders that cannot be read hold nothing for us. */
function filesBelow(folder: string, found: string[] = [], depth = 0): string[] {
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
    // Links may lead round in circles.
    else if (depth < mostDepth && !foreignFolders.has(name) && !name.startsWith("."))
      filesBelow(path, found, depth + 1);
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
