/** Requests to the Hugging Face Hub, with its refusals as errors that a user can act on. */
import { UserError } from "../base/errors.ts";
import { badHubAnswer, hubRefuses, hubUnreachable } from "./errors.ts";

/** Where and as whom to ask. */
export interface HubAccess {
  /** `https://huggingface.co` or a mirror. */
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A file of a repository. */
export interface HubFile {
  /** Path in the repository, with `/`. */
  readonly path: string;
  readonly size: number;
  /** Names the blob: sha256 of a large file, git's sha1 of a small one. */
  readonly etag: string;
}

/** A repository at one commit. */
export interface HubSnapshot {
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/** `$HF_ENDPOINT`, else the Hub itself. */
export function hubEndpoint(): string {
  return (process.env["HF_ENDPOINT"] || "https://huggingface.co").replace(/\/+$/, "");
}

/** What a repository has at a revision: `GET /api/models/<repo>/revision/<revision>?blobs=true`, or `/api/datasets/…`. */
export async function readSnapshot(
  access: HubAccess,
  repo: string,
  revision: string,
): Promise<HubSnapshot> {
  const name = repo.startsWith("datasets/") ? repo : `models/${repo}`;
  const url = `${access.endpoint}/api/${name}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const response = await request(access, url, { what: `${repo} at ${revision}` });
  const text = await readBody(response, access);
  try {
    return parseSnapshot(JSON.parse(text) as Record<string, unknown>);
  } catch (cause) {
    throw badHubAnswer(url, cause);
  }
}

/** The response to a file request from byte `from` on; redirects, e.g. to a content network, are followed without the token. */
export async function requestFile(
  access: HubAccess,
  repo: string,
  { commit, path, from }: { commit: string; path: string; from: number },
): Promise<Response> {
  const url = `${access.endpoint}/${repo}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
  // Compressed transfers cannot be resumed by byte offset.
  const headers: Record<string, string> = { "Accept-Encoding": "identity" };
  if (from > 0) headers["Range"] = `bytes=${from}-`;
  return request(access, url, { what: `${path} of ${repo}`, headers, allowed: [416] });
}

interface RequestOptions {
  /** For errors. */
  readonly what: string;
  readonly headers?: Record<string, string>;
  /** Statuses above 400 that the caller handles. */
  readonly allowed?: readonly number[];
}

async function request(access: HubAccess, url: string, options: RequestOptions): Promise<Response> {
  const { endpoint, token, signal } = access;
  const headers = { "User-Agent": "latent-workbench", ...options.headers };
  let response: Response;
  try {
    response = await fetch(url, {
      headers: token ? { ...headers, Authorization: `Bearer ${token}` } : headers,
      signal: signal ?? null,
    });
  } catch (cause) {
    signal?.throwIfAborted();
    throw hubUnreachable(endpoint, cause);
  }
  if (response.ok || options.allowed?.includes(response.status)) return response;
  await response.body?.cancel();
  throw hubRefuses(options.what, response.status, {
    code: response.headers.get("x-error-code"),
    hasToken: token !== undefined,
  });
}

async function readBody(response: Response, { endpoint, signal }: HubAccess): Promise<string> {
  try {
    return await response.text();
  } catch (cause) {
    signal?.throwIfAborted();
    throw hubUnreachable(endpoint, cause);
  }
}

/** True for failures that may pass by themselves: no connection, too many requests, trouble on the Hub's side. */
export function mayPass(error: unknown): boolean {
  return (
    error instanceof UserError && (error.code === "hub-unreachable" || error.code === "hub-busy")
  );
}

function parseSnapshot(json: Record<string, unknown>): HubSnapshot {
  const { sha, siblings } = json;
  if (typeof sha !== "string" || !/^[0-9a-f]{40}$/.test(sha)) throw new Error("it has no commit");
  if (!Array.isArray(siblings)) throw new Error("it has no list of files");
  return { commit: sha, files: (siblings as Record<string, unknown>[]).map(parseFile) };
}

function parseFile(json: Record<string, unknown>): HubFile {
  const { rfilename: path, size, blobId } = json;
  const lfs = json["lfs"] as { sha256?: unknown; oid?: unknown } | null | undefined;
  const etag = lfs ? (lfs.sha256 ?? lfs.oid) : blobId;
  if (typeof path !== "string" || !isPlainPath(path)) {
    throw new Error(`it has a file named ${JSON.stringify(path)}`);
  }
  if (typeof etag !== "string" || !/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(etag)) {
    throw new Error(`${path} has no hash`);
  }
  if (!Number.isSafeInteger(size) || (size as number) < 0) throw new Error(`${path} has no size`);
  return { path, size: size as number, etag };
}

/** A relative path that stays in its folder on every system. */
function isPlainPath(path: string): boolean {
  const parts = path.split("/");
  return parts.every(
    (part) => part !== "" && part !== "." && part !== ".." && !/[\\:\0]/.test(part),
  );
}
