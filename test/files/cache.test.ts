import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { Cache } from "../../server/files/cache.ts";
import { defaultCacheFolder, hashFile, hashWeights } from "../../server/files/locations.ts";
import { scratchFolder } from "./scratch.ts";

const folder = scratchFolder();

afterEach(() => vi.unstubAllEnvs());

test("entries are kept by key, apart by kind", () => {
  const cache = new Cache(folder, "checks");
  expect(cache.readJson("a")).toBeUndefined();
  expect(cache.writeJson("a", { x: [1, null] })).toBe(true);
  expect(cache.writeBytes("a", Uint8Array.of(1, 2))).toBe(true);
  expect(new Cache(folder, "checks").readJson("a")).toEqual({ x: [1, null] });
  expect(cache.readBytes("a")).toEqual(Uint8Array.of(1, 2));
  expect(new Cache(folder, "other").readJson("a")).toBeUndefined();
});

test("any text is a key, and none leads out of the folder", () => {
  const cache = new Cache(folder, "keys");
  const keys = ["../../etc/x", "a/b", "A", "a", "", "ü", "x".repeat(4000), "con\n", "~a"];
  for (const key of keys) cache.writeJson(key, key);
  for (const key of keys) expect(cache.readJson(key)).toBe(key);
  expect(readdirSync(join(folder, "keys"))).toHaveLength(keys.length);
});

test("a damaged entry is absent, and one that cannot be written is not kept", () => {
  const cache = new Cache(folder, "damaged");
  cache.writeJson("a", 1);
  writeFileSync(join(folder, "damaged/a.json"), '{"half":');
  expect(cache.readJson("a")).toBeUndefined();
  writeFileSync(join(folder, "file"), "");
  expect(new Cache(join(folder, "file"), "x").writeJson("a", 1)).toBe(false);
});

test("our cache folder follows the system's convention", () => {
  vi.stubEnv("XDG_CACHE_HOME", "/somewhere");
  vi.stubEnv("LOCALAPPDATA", "C:\\Local");
  const platform = vi.spyOn(process, "platform", "get");
  platform.mockReturnValue("linux");
  expect(defaultCacheFolder()).toBe(join("/somewhere", "latent-workbench"));
  platform.mockReturnValue("darwin");
  expect(defaultCacheFolder()).toContain(join("Library", "Caches", "latent-workbench"));
  platform.mockReturnValue("win32");
  expect(defaultCacheFolder()).toBe(join("C:\\Local", "latent-workbench", "Cache"));
  platform.mockRestore();
});

test("a file's hash sees its size, its ends and its middle", () => {
  const size = 9 * 2 ** 20;
  const hashes = [
    hash("a", size),
    hash("b", size + 1),
    hash("c", size, 0),
    hash("d", size, 4 * 2 ** 20),
    hash("e", size, size - 200_000),
    hash("f", 0),
    hash("g", 100),
    hash("h", 100, 50),
  ];
  expect(new Set(hashes).size).toBe(hashes.length);
  expect(hash("again", size)).toBe(hashes[0]);
});

test("a folder's hash sees weights and configs, wherever it lies, and nothing else", () => {
  const make = (name: string, files: Record<string, string>): string => {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(join(folder, name, file, ".."), { recursive: true });
      writeFileSync(join(folder, name, file), text);
    }
    return hashWeights(join(folder, name));
  };
  const sae = { "cfg.json": "{}", "checkpoints/final.safetensors": "w" };
  const first = make("one", sae);
  expect(make("two", { ...sae, "README.md": "x" })).toBe(first);
  expect(make("three", { ...sae, "cfg.json": "{ }" })).not.toBe(first);
  expect(make("four", { ...sae, "checkpoints/final.safetensors": "v" })).not.toBe(first);
  expect(hashWeights(join(folder, "one/cfg.json"))).not.toBe(first);
});

/** The hash of a file of zeros, but for 200,000 ones from `at` on. */
function hash(name: string, size: number, at?: number): string {
  const bytes = new Uint8Array(size);
  if (at !== undefined) bytes.fill(1, at, at + 200_000);
  writeFileSync(join(folder, name), bytes);
  return hashFile(join(folder, name));
}
