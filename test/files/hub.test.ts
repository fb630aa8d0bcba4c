import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test, vi } from "vitest";
import type { HubProgress } from "../../server/files/hub.ts";
import { downloadFromHub, findInHubCache, listHubCache } from "../../server/files/hub.ts";
import { hubCacheFolder, hubToken } from "../../server/files/hub-cache.ts";
import type { HubServer } from "./hub-server.ts";
import { sendFile, sendPart, startHub } from "./hub-server.ts";
import { refusal, refusalOf, scratchFolder } from "./scratch.ts";

const scratch = scratchFolder();
const weights = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 2654435761) >>> 24);
const config = new TextEncoder().encode('{"model_type": "llama"}');
const files = {
  "config.json": config,
  "model.safetensors": weights,
  "consolidated.safetensors": weights,
  "README.md": new Uint8Array(10),
  "layer_9/width 16k/params.npz": Uint8Array.of(1, 2, 3),
  "layer_10/params.npz": new Uint8Array(0),
};
const repo = "org/model";
let hub: HubServer;
let folder: string;
let nth = 0;

beforeEach(async () => {
  hub = await startHub(files);
  for (const name of ["HF_HOME", "HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN"])
    vi.stubEnv(name, "");
  for (const name of ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HUGGINGFACE_HUB_CACHE"])
    vi.stubEnv(name, "");
  vi.stubEnv("HF_ENDPOINT", hub.endpoint);
  vi.stubEnv("HF_HOME", join(scratch, "home"));
  vi.stubEnv("HF_HUB_CACHE", join(scratch, `cache${nth++}`));
  folder = join(hubCacheFolder(), "models--org--model");
});
afterEach(async () => {
  await hub.close();
  vi.unstubAllEnvs();
});
afterAll(() => vi.restoreAllMocks());

const weightsEtag = () => (hub.siblings[1]!["lfs"] as { sha256: string }).sha256;
const requestsOf = (file: string) => hub.log.filter((line) => line.includes(`/${file}`));

test("the cache has the Hub's layout: refs, blobs by etag, snapshots of relative links", async () => {
  const seen: HubProgress[] = [];
  const snapshot = await downloadFromHub({ repo, onProgress: (it) => seen.push(it) });
  expect(snapshot).toBe(join(folder, "snapshots", hub.commit));
  expect(readdirSync(snapshot).sort()).toEqual(["config.json", "model.safetensors"]);
  expect(readFileSync(join(folder, "refs/main"), "utf8")).toBe(hub.commit);
  expect(readlinkSync(join(snapshot, "model.safetensors"))).toBe(`../../blobs/${weightsEtag()}`);
  expect(readdirSync(join(folder, "blobs")).sort()).toEqual(
    [weightsEtag(), hub.siblings[0]!["blobId"] as string].sort(),
  );
  expect(new Uint8Array(readFileSync(join(snapshot, "model.safetensors")))).toEqual(weights);
  const total = weights.length + config.length;
  expect(seen.at(-1)).toEqual({ file: "model.safetensors", done: total, total });
  expect(findInHubCache(repo)).toBe(snapshot);
  expect(findInHubCache(repo, hub.commit)).toBe(snapshot);
  expect(findInHubCache("org/other")).toBeUndefined();
  expect(listHubCache()).toEqual([{ repo, folder: snapshot }]);
});

test("what is there is not fetched again", async () => {
  await downloadFromHub({ repo });
  hub.log.length = 0;
  await downloadFromHub({ repo });
  expect(hub.log).toEqual([`GET /api/models/org/model/revision/main?blobs=true`]);
});

test("files are named by path, folder or pattern, and nothing else is fetched", async () => {
  const snapshot = await downloadFromHub({ repo, files: ["layer_9"], revision: "v1/2" });
  expect(readFileSync(join(folder, "refs/v1/2"), "utf8")).toBe(hub.commit);
  expect(readlinkSync(join(snapshot, "layer_9/width 16k/params.npz"))).toMatch(
    /^\.\.\/\.\.\/\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/,
  );
  await downloadFromHub({ repo, files: ["layer_*/params.npz", "config.json"] });
  expect(hub.log.filter((line) => line.includes("/resolve/"))).toHaveLength(3);
  const error = await refusalOf(downloadFromHub({ repo, files: ["layer_11/"] }));
  expect(error.code).toBe("file-not-in-repo");
  expect(error.message).toContain(
    "org/model has no file or folder layer_11/; it has layer_10/params.npz",
  );
});

test("a repository without weights at its top asks for names", async () => {
  hub.siblings.splice(1, 2);
  const error = await refusalOf(downloadFromHub({ repo }));
  expect(error.code).toBe("no-files-named");
  expect(error.message).toContain("e.g. layer_9/width 16k/params.npz, layer_10/params.npz");
});

test("a broken connection goes on where it stopped, within one call", async () => {
  hub.trouble = (request, response, nth) =>
    request.url!.endsWith("model.safetensors") && nth <= 2
      ? sendPart(
          response,
          weights,
          nth === 1 ? { from: 0, to: 100_000 } : { from: 100_000, to: 200_000 },
        )
      : false;
  const snapshot = await downloadFromHub({ repo });
  expect(new Uint8Array(readFileSync(join(snapshot, "model.safetensors")))).toEqual(weights);
  expect(requestsOf("model.safetensors").map((line) => line.split(" ")[2])).toEqual([
    undefined,
    "bytes=100000-",
    "bytes=200000-",
  ]);
});

test("a cancelled download leaves its beginning, and the next call goes on there", async () => {
  hub.trouble = (request, response) => {
    if (!request.url!.endsWith("model.safetensors")) return false;
    response.writeHead(200, { "content-length": weights.length });
    response.write(weights.subarray(0, 100_000));
    setTimeout(() => response.write(weights.subarray(100_000, 150_000)), 200);
    return true;
  };
  const abort = new AbortController();
  const download = downloadFromHub({
    repo,
    signal: abort.signal,
    onProgress: ({ done }) => done > 100_500 && abort.abort(),
  });
  await expect(download).rejects.toMatchObject({ name: "AbortError" });
  expect(findInHubCache(repo)).toBeUndefined();
  const [incomplete] = readdirSync(join(folder, "blobs")).filter((it) =>
    it.endsWith(".incomplete"),
  );
  expect(incomplete).toBe(`${weightsEtag()}.incomplete`);
  hub.trouble = undefined;
  await downloadFromHub({ repo });
  expect(requestsOf("model.safetensors").at(-1)).toMatch(/bytes=1[0-5]\d\d\d\d-$/);
  expect(readdirSync(join(folder, "blobs")).some((it) => it.endsWith(".incomplete"))).toBe(false);
});

test("of several that want a file one downloads it, and the others wait for it", async () => {
  const snapshots = await Promise.all([1, 2, 3].map(() => downloadFromHub({ repo })));
  expect(new Set(snapshots).size).toBe(1);
  expect(requestsOf("model.safetensors")).toHaveLength(1);
  expect(new Uint8Array(readFileSync(join(snapshots[0]!, "model.safetensors")))).toEqual(weights);
  expect(readdirSync(join(folder, "blobs")).filter((it) => it.includes("."))).toEqual([]);
});

test("a lock of a process that has ended is nobody's", async () => {
  const { pid } = spawnSync(process.execPath, ["--version"]);
  mkdirSync(join(folder, "blobs"), { recursive: true });
  writeFileSync(join(folder, "blobs", `${weightsEtag()}.lock`), `${pid} ${hostname()} x`);
  const snapshot = await downloadFromHub({ repo });
  expect(new Uint8Array(readFileSync(join(snapshot, "model.safetensors")))).toEqual(weights);
});

test("who waits for another's download can be cancelled", async () => {
  mkdirSync(join(folder, "blobs"), { recursive: true });
  writeFileSync(join(folder, "blobs", `${weightsEtag()}.lock`), `${process.pid} ${hostname()} x`);
  const abort = new AbortController();
  const onProgress = (): void => setImmediate(() => abort.abort()) && undefined;
  const download = downloadFromHub({ repo, signal: abort.signal, onProgress });
  await expect(download).rejects.toMatchObject({ name: "AbortError" });
  expect(requestsOf("model.safetensors")).toHaveLength(0);
});

test("a signal that has fired stops before the first request", async () => {
  const download = downloadFromHub({ repo, signal: AbortSignal.abort() });
  await expect(download).rejects.toMatchObject({ name: "AbortError" });
  expect(hub.log).toEqual([]);
});

test("a damaged beginning of another time is dropped: the file comes whole", async () => {
  mkdirSync(join(folder, "blobs"), { recursive: true });
  writeFileSync(join(folder, "blobs", `${weightsEtag()}.incomplete`), new Uint8Array(1000).fill(7));
  const snapshot = await downloadFromHub({ repo });
  expect(new Uint8Array(readFileSync(join(snapshot, "model.safetensors")))).toEqual(weights);
  expect(requestsOf("model.safetensors")).toHaveLength(2);
});

test.each([
  ["too long a beginning", 400_000],
  ["a beginning of full length", 300_000],
])("%s is dropped", async (_, length) => {
  mkdirSync(join(folder, "blobs"), { recursive: true });
  writeFileSync(join(folder, "blobs", `${weightsEtag()}.incomplete`), new Uint8Array(length));
  await downloadFromHub({ repo });
  expect(requestsOf("model.safetensors")).toHaveLength(1);
});

test("a server that ignores ranges sends the file from its start", async () => {
  mkdirSync(join(folder, "blobs"), { recursive: true });
  writeFileSync(join(folder, "blobs", `${weightsEtag()}.incomplete`), weights.subarray(0, 5));
  hub.trouble = (request, response) => {
    if (!request.url!.endsWith("model.safetensors")) return false;
    sendFile(response, weights);
    return true;
  };
  await downloadFromHub({ repo });
  expect(requestsOf("model.safetensors")).toHaveLength(1);
});

test.each([
  [
    "model.safetensors",
    /^model\.safetensors came damaged: expected hash [0-9a-f]{64}, found [0-9a-f]{64}; /,
  ],
  ["config.json", /^config\.json came damaged: expected hash [0-9a-f]{40}, found [0-9a-f]{40}; /],
])("a damaged %s is refused and removed", async (file, text) => {
  hub.trouble = (request, response) => {
    if (!request.url!.endsWith(file)) return false;
    const bytes = files[file as keyof typeof files].slice();
    bytes[10]! ^= 1;
    sendFile(response, bytes);
    return true;
  };
  const error = await refusalOf(downloadFromHub({ repo }));
  expect(error.code).toBe("corrupt-download");
  expect(error.message).toMatch(text);
  expect(readdirSync(join(folder, "blobs")).filter((it) => it.endsWith(".incomplete"))).toEqual([]);
  expect(findInHubCache(repo)).toBeUndefined();
});

test("a redirect to another host is followed, and the token stays behind", async () => {
  const authorizations: (string | undefined)[] = [];
  const content = createServer((request, response) => {
    authorizations.push(request.headers.authorization);
    sendFile(response, weights, request.headers.range);
  });
  await new Promise<void>((done) => content.listen(0, "127.0.0.1", done));
  const { port } = content.address() as AddressInfo;
  hub.trouble = (request, response) => {
    if (!request.url!.endsWith("model.safetensors")) return false;
    response.writeHead(302, { location: `http://localhost:${port}/signed` }).end();
    return true;
  };
  await downloadFromHub({ repo, token: "hf_secret" });
  content.close();
  expect(requestsOf("model.safetensors")[0]).toContain("Bearer hf_secret");
  expect(authorizations).toEqual([undefined]);
});

test.each([
  [401, {}, "hub-no-access", "does not exist, is private or gated; check its name, or set a token"],
  [404, { "x-error-code": "RepoNotFound" }, "hub-no-access", "(404): it does not exist"],
  [403, { "x-error-code": "GatedRepo" }, "hub-gated", "its owners want their terms accepted"],
  [
    404,
    { "x-error-code": "RevisionNotFound" },
    "hub-not-found",
    "the Hub has no org/model at main (404)",
  ],
  [503, {}, "hub-busy", "the Hub answers 503 for org/model at main; try again later"],
  [418, {}, "hub-refuses", "the Hub answers 418"],
])("status %i %o is the error %s", async (status, headers, code, text) => {
  hub.trouble = (_, response) => {
    response.writeHead(status, headers as Record<string, string>).end("no");
    return true;
  };
  const error = await refusalOf(downloadFromHub({ repo }));
  expect(error.code).toBe(code);
  expect(error.message).toContain(text);
});

test("a Hub that is busy for a moment is asked again", async () => {
  hub.trouble = (request, response, nth) => {
    if (!request.url!.endsWith("model.safetensors") || nth > 1) return false;
    response.writeHead(503).end();
    return true;
  };
  await downloadFromHub({ repo });
  expect(requestsOf("model.safetensors")).toHaveLength(2);
});

test("no connection is an error that says so", async () => {
  await hub.close();
  const error = await refusalOf(downloadFromHub({ repo }));
  expect(error.code).toBe("hub-unreachable");
  expect(error.message).toMatch(
    /no lasting connection to http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/,
  );
});

test.each([
  ["../../evil", "a file named"],
  ["/etc/passwd", "a file named"],
  ["a\\..\\b", "a file named"],
  ["C:evil", "a file named"],
  ["", "a file named"],
])("a Hub that lists %j is refused before anything is written", async (rfilename, text) => {
  hub.siblings.push({ ...hub.siblings[0], rfilename });
  const error = await refusalOf(downloadFromHub({ repo }));
  expect(error.code).toBe("bad-hub-answer");
  expect(error.message).toContain(text);
  expect(findInHubCache(repo)).toBeUndefined();
});

test.each([{ blobId: "../../x" }, { blobId: undefined }, { size: -1 }])(
  "a Hub that lists %o is refused",
  async (change) => {
    Object.assign(hub.siblings[0]!, change);
    expect((await refusalOf(downloadFromHub({ repo }))).code).toBe("bad-hub-answer");
  },
);

test.each(["", "..", "a/b/c", "org/../x", "a--b/c", "/etc", "org/", "org/na me"])(
  "%j is no repository",
  async (name) => {
    expect((await refusalOf(downloadFromHub({ repo: name }))).code).toBe("bad-repo-name");
    expect(refusal(() => findInHubCache(name)).code).toBe("bad-repo-name");
  },
);

test.each(["../main", "a b", "/x", "x/", ""])("%j is no revision", async (revision) => {
  expect((await refusalOf(downloadFromHub({ repo, revision }))).code).toBe("bad-revision");
});

test("a file larger than the disk is refused before it is asked for", async () => {
  hub.siblings[1]!["size"] = 2 ** 52;
  const error = await refusalOf(downloadFromHub({ repo }));
  expect(error.code).toBe("not-enough-space");
  expect(hub.log).toHaveLength(1);
});

test("offline, the cache answers or the error says what is missing", async () => {
  vi.stubEnv("HF_HUB_OFFLINE", "true");
  expect((await refusalOf(downloadFromHub({ repo }))).message).toContain(
    "but it is not; unset HF_HUB_OFFLINE",
  );
  vi.stubEnv("HF_HUB_OFFLINE", "0");
  const snapshot = await downloadFromHub({ repo });
  vi.stubEnv("HF_HUB_OFFLINE", "1");
  hub.log.length = 0;
  expect(await downloadFromHub({ repo, files: ["config.json"] })).toBe(snapshot);
  const error = await refusalOf(downloadFromHub({ repo, files: ["layer_9/"] }));
  expect(error.code).toBe("hub-offline");
  expect(error.message).toContain(`only part of it is, in ${snapshot}`);
  expect(hub.log).toEqual([]);
});

test("cache and token come from where the Python library looks", () => {
  expect(hubCacheFolder()).toContain(scratch);
  vi.stubEnv("HF_HUB_CACHE", "");
  expect(hubCacheFolder()).toBe(join(scratch, "home/hub"));
  vi.stubEnv("HF_HOME", "");
  vi.stubEnv("XDG_CACHE_HOME", "/xdg");
  expect(hubCacheFolder()).toBe(join("/xdg/huggingface/hub"));
  vi.stubEnv("XDG_CACHE_HOME", "");
  vi.stubEnv("HOME", "/home/ada");
  expect(hubCacheFolder()).toBe(join("/home/ada/.cache/huggingface/hub"));
  vi.stubEnv("HF_HOME", join(scratch, "home"));
  expect(hubToken()).toBeUndefined();
  mkdirSync(join(scratch, "home"), { recursive: true });
  writeFileSync(join(scratch, "home/token"), "hf_file\n");
  expect(hubToken()).toBe("hf_file");
  vi.stubEnv("HF_TOKEN", "hf_env");
  expect(hubToken()).toBe("hf_env");
});
