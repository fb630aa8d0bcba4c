/** A stand-in for the Hugging Face Hub on loopback that can misbehave on demand. */
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Answers a request for a file itself and returns true, or leaves it to the server. */
export type Trouble = (request: IncomingMessage, response: ServerResponse, nth: number) => boolean;

export interface HubServer {
  readonly endpoint: string;
  readonly commit: string;
  /** `GET /path range authorization` of every request, in order. */
  readonly log: string[];
  /** Sizes and hashes as the Hub lists them; tests may falsify them. */
  readonly siblings: Record<string, unknown>[];
  trouble: Trouble | undefined;
  close(): Promise<void>;
}

/** Serves the files of one repository, `org/model` or e.g. `datasets/org/texts`. */
export async function startHub(
  files: Record<string, Uint8Array>,
  repo = "org/model",
): Promise<HubServer> {
  const commit = "0123456789abcdef0123456789abcdef01234567";
  const log: string[] = [];
  const hub = { commit, log, trouble: undefined as Trouble | undefined };
  const siblings = Object.entries(files).map(([rfilename, bytes]) => listing(rfilename, bytes));
  const counts = new Map<string, number>();
  const server = createServer((request, response) => {
    const { url = "", headers } = request;
    log.push([request.method, url, headers.range, headers.authorization].filter(Boolean).join(" "));
    const nth = (counts.get(url) ?? 0) + 1;
    counts.set(url, nth);
    if (hub.trouble?.(request, response, nth)) return;
    const api = `/api/${repo.startsWith("datasets/") ? "" : "models/"}${repo}/revision/`;
    if (["main", "v1%2F2"].some((revision) => url === `${api}${revision}?blobs=true`)) {
      response.end(JSON.stringify({ sha: commit, siblings }));
      return;
    }
    const prefix = `/${repo}/resolve/${commit}/`;
    const bytes = url.startsWith(prefix) && files[decodeURIComponent(url.slice(prefix.length))];
    if (bytes) sendFile(response, bytes, headers.range);
    else response.writeHead(404, { "x-error-code": "EntryNotFound" }).end();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  return Object.assign(hub, {
    siblings,
    endpoint: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise<void>((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  });
}

/** Sends the bytes from where the range begins. */
export function sendFile(response: ServerResponse, bytes: Uint8Array, range?: string): void {
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
  if (from >= bytes.length && from > 0) {
    response.writeHead(416).end();
    return;
  }
  response.writeHead(from > 0 ? 206 : 200, {
    "content-length": bytes.length - from,
    ...(from > 0 ? { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {}),
  });
  response.end(bytes.subarray(from));
}

/** Sends some bytes and breaks the connection. */
export function sendPart(
  response: ServerResponse,
  bytes: Uint8Array,
  { from, to }: { from: number; to: number },
): true {
  response.writeHead(from > 0 ? 206 : 200, {
    "content-length": bytes.length - from,
    ...(from > 0 ? { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {}),
  });
  response.write(bytes.subarray(from, to), () => setTimeout(() => response.destroy(), 20));
  return true;
}

/** Large files are listed by sha256, small ones by git's blob id. */
function listing(rfilename: string, bytes: Uint8Array): Record<string, unknown> {
  const blobId = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const isLarge = !/\.(json|md)$/.test(rfilename);
  return {
    rfilename,
    size: bytes.length,
    blobId: isLarge ? "f".repeat(40) : blobId,
    ...(isLarge ? { lfs: { sha256, size: bytes.length, pointerSize: 130 } } : {}),
  };
}
