/** Downloads of single files: resumed where they were cut off, and checked by hash before they count. */
import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "../base/errors.ts";
import { withFileLock } from "./file-lock.ts";
import { corruptDownload, hubUnreachable, unwritableFile } from "./errors.ts";
import type { HubAccess, HubFile } from "./hub-client.ts";
import { mayPass, requestFile } from "./hub-client.ts";

/** Where a file comes from and who wants to know how far it is. */
export interface BlobDownload {
  readonly access: HubAccess;
  readonly repo: string;
  readonly commit: string;
  readonly file: HubFile;
  /** Called with the bytes of the file that are there. */
  readonly onBytes: (done: number) => void;
}

/** Attempts in a row that bring no new byte; the waits between them double from half a second. */
const maxStalls = 4;

/**
 * Downloads a file to `blob`. Until its hash is right it is `blob.incomplete`, where the next call goes on, as the
 * Python library does. A broken connection is taken up again some times before it is an error. Of several processes
 * that want the file one downloads it, and the others wait.
 */
export async function downloadBlob(download: BlobDownload, blob: string): Promise<void> {
  const { file, access, onBytes } = download;
  const fetched = async (): Promise<void> => {
    const there = statSync(blob, { throwIfNoEntry: false });
    if (there?.size !== file.size) await fetchBlob(download, blob);
  };
  await withFileLock(blob, fetched, access.signal);
  onBytes(file.size);
}

async function fetchBlob(download: BlobDownload, blob: string): Promise<void> {
  const { file, access } = download;
  const incomplete = `${blob}.incomplete`;
  let best = sizeOfFile(incomplete);
  let isResumed = best > 0;
  for (let stalls = 0; ;) {
    const failure = await fetchRest(download, incomplete);
    const done = sizeOfFile(incomplete);
    if (done === file.size && failure === undefined) {
      const found = await hashOf(incomplete, file, access.signal);
      if (found === file.etag) break;
      await rm(incomplete);
      // The beginning may have come from another time: once more from the start.
      if (!isResumed) throw corruptDownload(file.path, file.etag, found);
      isResumed = false;
      best = 0;
      continue;
    }
    stalls = done > best ? 0 : stalls + 1;
    best = Math.max(best, done);
    if (stalls > maxStalls) throw failure ?? hubUnreachable(access.endpoint, "the file ends early");
    await sleep(500 * 2 ** stalls, undefined, { signal: access.signal });
  }
  await writing(blob, () => rename(incomplete, blob));
}

/** Appends what is missing. Returns a failure that may pass; throws others. */
async function fetchRest(
  download: BlobDownload,
  incomplete: string,
): Promise<UserError | undefined> {
  const { access, repo, commit, file } = download;
  if (sizeOfFile(incomplete) > file.size) await rm(incomplete);
  const from = sizeOfFile(incomplete);
  if (from === file.size && from > 0) return undefined;
  try {
    const response = await requestFile(access, repo, { commit, path: file.path, from });
    const goesOn = response.status === 206 && startOf(response) === from;
    if (response.status === 416 || (response.status === 206 && !goesOn)) {
      await response.body?.cancel();
      await rm(incomplete, { force: true });
      return undefined;
    }
    await append(download, response, { incomplete, from: goesOn ? from : 0 });
    return undefined;
  } catch (error) {
    access.signal?.throwIfAborted();
    if (mayPass(error)) return error as UserError;
    throw error;
  }
}

/** Writes a response's body behind the first `from` bytes, and stops when the file would grow longer than it should be. */
async function append(
  { access, file, onBytes }: BlobDownload,
  response: Response,
  { incomplete, from }: { incomplete: string; from: number },
): Promise<void> {
  const handle = await writing(incomplete, () => open(incomplete, from > 0 ? "a" : "w"));
  try {
    let done = from;
    for await (const chunk of chunksOf(response, access)) {
      await writing(incomplete, () => handle.write(chunk));
      done += chunk.length;
      onBytes(Math.min(done, file.size));
      if (done > file.size) break;
    }
    await writing(incomplete, () => handle.sync());
  } finally {
    await handle.close();
  }
}

async function* chunksOf(response: Response, access: HubAccess): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response.body ?? []) yield chunk as Uint8Array;
  } catch (cause) {
    access.signal?.throwIfAborted();
    throw hubUnreachable(access.endpoint, cause);
  }
}

/** First byte of a partial response: `Content-Range: bytes 100-199/200`. */
function startOf(response: Response): number | undefined {
  const start = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1];
  return start === undefined ? undefined : Number(start);
}

/** sha256 for large files; for others git's blob id: sha1 of `blob <size>`, a zero byte, and the contents. */
async function hashOf(path: string, file: HubFile, signal?: AbortSignal): Promise<string> {
  const isSha256 = file.etag.length === 64;
  const hash = createHash(isSha256 ? "sha256" : "sha1");
  if (!isSha256) hash.update(`blob ${file.size}\0`);
  const stream = createReadStream(path, { highWaterMark: 2 ** 20, ...(signal ? { signal } : {}) });
  for await (const chunk of stream) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

function sizeOfFile(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

async function writing<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw unwritableFile(path, cause);
  }
}
