/** Which files a corpus has: on disk, in folders, and in datasets of the Hugging Face Hub, which are fetched when they are read. */
import { join } from "node:path";
import { exists, fileSize, isFolder, listFiles } from "../../files/disk.ts";
import { type HubListing, listHubFiles } from "../../files/hub.ts";
import {
  badHubDataset,
  missingCorpus,
  noCorpusFiles,
  noDatasetFiles,
  unknownCorpusFile,
} from "./errors.ts";

/** A file of a corpus. */
export interface CorpusFile {
  /** Path, or `hf://datasets/org/name/path`. */
  readonly name: string;
  readonly bytes: number;
  /** Its place on disk; a file of the Hub is downloaded first unless the cache has it. */
  open(onProgress?: (done: number, total: number) => void): Promise<string>;
}

const endings = /\.(?:(?:txt|md|text|jsonl|ndjson)(?:\.gz)?|parquet)$/i;

/** Names and sizes of a corpus's files: enough to see that another one is meant. */
export function corpusFacts(files: readonly CorpusFile[]): { path: string; bytes: number }[] {
  return files.map(({ name, bytes }) => ({ path: name, bytes }));
}

/** True for what stands for files of the Hub and is no path. */
export function isHubDataset(path: string): boolean {
  return path.startsWith("hf://");
}

/** The files of a corpus in the order given; folders stand for their texts, sorted by path. */
export async function corpusFiles(
  paths: readonly string[],
  signal?: AbortSignal,
): Promise<CorpusFile[]> {
  const files: CorpusFile[] = [];
  for (const path of paths) {
    files.push(...(isHubDataset(path) ? await hubFiles(path, signal) : localFiles(path)));
  }
  return files;
}

function localFiles(path: string): CorpusFile[] {
  if (!exists(path)) throw missingCorpus(path);
  const found = isFolder(path)
    ? listFiles(path)
        .filter((file) => endings.test(file))
        .map((file) => join(path, file))
    : [path];
  if (found.length === 0) throw noCorpusFiles(path);
  for (const file of found) if (!endings.test(file)) throw unknownCorpusFile(file);
  return found.map((name) => ({ name, bytes: fileSize(name), open: async () => name }));
}

/** `hf://datasets/org/name`, then `@revision`, then a file, a folder or a pattern with `*`. */
const place = /^hf:\/\/datasets\/([\w.-]+\/[\w.-]+)(?:@([^/]+))?(?:\/(.+?))?\/?$/;

async function hubFiles(path: string, signal?: AbortSignal): Promise<CorpusFile[]> {
  const [, name, revision, below] = place.exec(path) ?? [];
  if (name === undefined) throw badHubDataset(path);
  const request = {
    repo: `datasets/${name}`,
    ...(revision === undefined ? {} : { revision: decodeURIComponent(revision) }),
    ...(signal ? { signal } : {}),
  };
  const listing = await listHubFiles(request);
  const chosen = below === undefined ? trainingFiles(listing) : matching(listing, below);
  if (chosen.length === 0) {
    throw noDatasetFiles(
      path,
      listing.files.map((file) => file.path),
    );
  }
  return chosen.map((file) => ({
    name: `hf://datasets/${name}${revision === undefined ? "" : `@${revision}`}/${file.path}`,
    bytes: file.size,
    open: (onProgress) =>
      listing.fetch(file.path, onProgress && (({ done, total }) => onProgress(done, total))),
  }));
}

type ListedFile = HubListing["files"][number];

/** What the Python library would call its training split: texts with "train" in their path, or all where none has it. */
function trainingFiles({ files }: HubListing): ListedFile[] {
  const texts = files.filter(({ path }) => endings.test(path) && !/\.md$/i.test(path));
  const train = texts.filter(({ path }) => /(^|[^a-z])train([^a-z]|$)/i.test(path));
  return inOrder(train.length > 0 ? train : texts);
}

function matching({ files }: HubListing, below: string): ListedFile[] {
  const parts = below.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = new RegExp(`^${parts.join(".*")}(/.*)?$`, "s");
  return inOrder(files.filter(({ path }) => pattern.test(path) && endings.test(path)));
}

function inOrder(files: readonly ListedFile[]): ListedFile[] {
  return files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}
