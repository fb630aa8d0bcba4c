// Datasets of the Hub as corpora: the cache's layout, only what is read, offline from the cache.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test, vi } from "vitest";
import { corpusFiles } from "../../server/engine/runs/corpus-files.ts";
import { parseFilesConfig } from "../../server/engine/runs/run-config.ts";
import { hubCacheFolder } from "../../server/files/hub-cache.ts";
import { type HubServer, startHub } from "../files/hub-server.ts";
import { scratchFolder } from "../files/scratch.ts";
import { repoRoot } from "../parts.ts";

const scratch = scratchFolder();
const parquet = new Uint8Array(readFileSync(join(repoRoot, "test/golden/parquet/content.parquet")));
const files = {
  "README.md": new TextEncoder().encode("# about"),
  "data/train-00000-of-00002.parquet": parquet,
  "data/train-00001-of-00002.parquet": parquet,
  "data/test-00000-of-00001.parquet": parquet,
  "pictures/a.png": new Uint8Array(3),
};
const dataset = "hf://datasets/org/texts";
let hub: HubServer;
let nth = 0;

beforeEach(async () => {
  hub = await startHub(files, "datasets/org/texts");
  for (const name of ["HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN"]) vi.stubEnv(name, "");
  for (const name of ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HUGGINGFACE_HUB_CACHE"])
    vi.stubEnv(name, "");
  vi.stubEnv("HF_ENDPOINT", hub.endpoint);
  vi.stubEnv("HF_HOME", join(scratch, "home"));
  vi.stubEnv("HF_HUB_CACHE", join(scratch, `cache${nth++}`));
});
afterEach(async () => {
  await hub.close();
  vi.unstubAllEnvs();
});
afterAll(() => vi.restoreAllMocks());

const names = async (path: string): Promise<string[]> =>
  (await corpusFiles([path])).map(({ name }) => name);
const downloads = (): string[] => hub.log.filter((line) => line.includes("/resolve/"));

test("a dataset stands for its training split; nothing is downloaded before it is read", async () => {
  const found = await corpusFiles([dataset]);
  expect(found.map(({ name }) => name)).toEqual([
    `${dataset}/data/train-00000-of-00002.parquet`,
    `${dataset}/data/train-00001-of-00002.parquet`,
  ]);
  expect(downloads()).toEqual([]);
  const seen: number[] = [];
  const path = await found[0]!.open((done, total) => seen.push(done / total));
  const folder = join(hubCacheFolder(), "datasets--org--texts");
  expect(path).toBe(join(folder, "snapshots", hub.commit, "data/train-00000-of-00002.parquet"));
  expect(new Uint8Array(readFileSync(path))).toEqual(parquet);
  expect(readFileSync(join(folder, "refs/main"), "utf8")).toBe(hub.commit);
  expect(readdirSync(join(folder, "snapshots", hub.commit, "data"))).toHaveLength(1);
  expect(seen.at(-1)).toBe(1);
  await found[0]!.open();
  expect(downloads()).toHaveLength(1);
});

test("a file, a folder, a pattern and a revision", async () => {
  expect(await names(`${dataset}/data/test-00000-of-00001.parquet`)).toHaveLength(1);
  expect(await names(`${dataset}/data`)).toHaveLength(3);
  expect(await names(`${dataset}@main/data/t*t-*.parquet`)).toEqual([
    `${dataset}@main/data/test-00000-of-00001.parquet`,
  ]);
  expect(await names(`${dataset}@v1%2F2`)).toHaveLength(2);
});

test("what is not there is named", async () => {
  await expect(corpusFiles([`${dataset}/pictures`])).rejects.toMatchObject({
    code: "no-dataset-files",
    message: expect.stringMatching(/the repository has README.md, data\/train/),
  });
  await expect(corpusFiles(["hf://datasets/org/none"])).rejects.toMatchObject({
    code: "hub-not-found",
  });
  await expect(corpusFiles(["hf://models/org/x"])).rejects.toMatchObject({
    code: "bad-hub-dataset",
  });
});

test("offline, the files of the cache are the dataset", async () => {
  await expect((vi.stubEnv("HF_HUB_OFFLINE", "1"), corpusFiles([dataset]))).rejects.toMatchObject({
    code: "hub-offline",
  });
  vi.stubEnv("HF_HUB_OFFLINE", "");
  const [first] = await corpusFiles([dataset]);
  await first!.open();
  vi.stubEnv("HF_HUB_OFFLINE", "1");
  const before = hub.log.length;
  const found = await corpusFiles([dataset]);
  expect(found).toHaveLength(1);
  expect(new Uint8Array(readFileSync(await found[0]!.open()))).toEqual(parquet);
  expect(hub.log.length).toBe(before);
});

test("in a run's config it stays what it is", () => {
  const value = { kind: "files", lm: "/lm", files: [dataset, "texts"] };
  expect(parseFilesConfig(value, "test", "/runs").files).toEqual([dataset, "/runs/texts"]);
});
