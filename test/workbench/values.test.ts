import { homedir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { placeOf } from "../../server/files/written-path.ts";
import { parseLatentsFile } from "../../server/text/latents-file.ts";
import { heatAt, heatOf } from "../../server/workbench/heat.ts";
import { withColours } from "../../server/workbench/pins.ts";
import { folderOf, patternPath } from "../../server/workbench/places.ts";
import { parseBytes, readSettings } from "../../server/workbench/settings.ts";
import { repoRoot } from "../parts.ts";
import type { ContextReading } from "../../server/protocol/reader.ts";

test("settings are a complete value", () => {
  const settings = readSettings({ hover: { latents: 4 }, saes: ["a", 3] }, "/cache");
  expect(settings).toMatchObject({
    hoverLatents: 4,
    saes: ["a"],
    device: "auto",
    cacheFolder: "/cache",
  });
  expect(() => readSettings({ device: "tpu" }, "")).toThrow(
    'latentWorkbench.device is "tpu"; expected one of auto, cpu, cuda, webgpu, dml, coreml',
  );
});

test("sizes", () => {
  expect(parseBytes("8 GB")).toBe(8 * 1024 ** 3);
  expect(parseBytes("512MiB")).toBe(512 * 1024 ** 2);
  expect(parseBytes(1000)).toBe(1000);
  expect(parseBytes("auto")).toBeGreaterThan(1e8);
  expect(() => parseBytes("much")).toThrow('expected "auto" or a size such as "8 GB"');
});

test("latents.jsonc with comments, names and facts", () => {
  const text = `{ // models
    "lm": "org/model", "saes": ["a/b", { "path": "c", "name": "d", "facts": { "k": 50 } },],
    "labels": { "d": { "7": "seven" } } }`;
  expect(parseLatentsFile(text, "/w/latents.jsonc", String)).toEqual({
    lm: "org/model",
    saes: [{ path: "a/b" }, { path: "c", name: "d", facts: { k: 50 } }],
    pinned: [],
    labels: { d: { "7": "seven" } },
    rules: [],
  });
  expect(() => parseLatentsFile('{\n "saes": [1 2] }', "/w/latents.jsonc", String)).toThrow(
    "/w/latents.jsonc, line 2: CommaExpected",
  );
  expect(() => parseLatentsFile('{ "saes": [{}] }', "/w/latents.jsonc", String)).toThrow(
    "expected a path or",
  );
});

test("paths as people write them", () => {
  expect(placeOf("~/a", [])).toBe(join(homedir(), "a"));
  expect(placeOf("/a/b", ["/tmp"])).toBe("/a/b");
  expect(placeOf("demo/lm", [repoRoot])).toBe(join(repoRoot, "demo/lm"));
  expect(placeOf("org/model", [repoRoot])).toBe("org/model");
  expect(folderOf("file:///a/b.txt")).toEqual(["/a"]);
  expect(folderOf("untitled:Untitled-1")).toEqual([]);
  expect(patternPath("file:///a/b%20c.txt")).toBe("a/b c.txt");
  expect(patternPath("untitled:Untitled-1")).toBe("untitled:Untitled-1");
});

test("cells of notebooks are where their notebook is, on this machine and on a remote one", () => {
  for (const uri of [
    "vscode-notebook-cell:/a/b%20c.ipynb#W0sZmlsZQ%3D%3D",
    "vscode-notebook-cell://ssh-remote%2Bhost/a/b%20c.ipynb#W1sZmlsZQ%3D%3D",
  ]) {
    expect(patternPath(uri)).toBe("a/b c.ipynb");
    expect(folderOf(uri)).toEqual(["/a"]);
  }
});

const reading = {
  tokens: { ids: Int32Array.of(0, 1, 2) },
  position: Int32Array.of(0, 1, 2),
  saes: {
    s: {
      offsets: Int32Array.of(0, 1, 3, 3),
      latents: Int32Array.of(9, 4, 5),
      acts: Float32Array.of(100, 8, 2),
      squaredError: Float32Array.of(1, 2, 4),
      inputNorm: Float32Array.of(1, 2, 2),
      variance: 1,
    },
  },
} as unknown as ContextReading;
const source = {
  reading,
  sae: "s",
  pinned: [{ sae: "s", latent: 5, colour: 2 }],
  maxActivation: () => 4,
};

test("heat: position 0 does not set the scale", () => {
  const heat = heatOf("activation", source);
  expect([...heat.values]).toEqual([100, 8, 0]);
  expect([0, 1, 2].map((token) => heatAt(heat, token))).toEqual([1, 1, 0]);
});

test("heat of pinned latents goes up to the largest activation seen anywhere", () => {
  const heat = heatOf("pinned", source);
  expect([0, 1, 2].map((token) => heatAt(heat, token))).toEqual([0, 0.5, 0]);
});

test("heat of L0, relative error and absent losses", () => {
  expect([...heatOf("l0", source).values]).toEqual([1, 2, 0]);
  expect([...heatOf("error", source).values]).toEqual([1, 0.5, 1]);
  expect(heatAt(heatOf("loss", source), 1)).toBe(0);
});

function refusal(text: string): () => unknown {
  return () => parseLatentsFile(text, "/w/latents.jsonc", String);
}

test("pins and labels of another shape are told, not trusted", () => {
  for (const pin of ["3", '{"sae": "a"}', '{"sae": "a", "latent": -1}', '{"sae": 1, "latent": 1}'])
    expect(refusal(`{"pinned": [${pin}]}`)).toThrow(/an entry of "pinned" is .*expected/);
  for (const labels of ["[]", '{"a": []}', '{"a": {"1": 2}}', '"x"'])
    expect(refusal(`{"labels": ${labels}}`)).toThrow(/"labels" is not what it should be/);
});

test("pins: each has a scale and a colour of its own, the stronger by its scale colours a token", () => {
  const pinned = [
    { sae: "s", latent: 4, colour: 1 },
    { sae: "s", latent: 5, colour: 3 },
    { sae: "other", latent: 9, colour: 2 },
  ];
  const heat = heatOf("pinned", { ...source, pinned, maxActivation: (it) => (it === 4 ? 80 : 2) });
  expect([...heat.values]).toEqual([0, 2, 0]);
  expect([0, 1, 2].map((token) => heatAt(heat, token))).toEqual([0, 1, 0]);
  expect([...heat.colours!]).toEqual([0, 3, 0]);
});

test("pins keep their colours when others go; of more than four the first stay", () => {
  const latents = [1, 2, 3, 4, 5].map((latent) => ({ sae: "s", latent }));
  const four = withColours(latents);
  expect(four.map((it) => [it.latent, it.colour])).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 4],
  ]);
  const again = withColours([four[0]!, four[2]!, four[3]!, { sae: "s", latent: 5 }]);
  expect(again.map((it) => it.colour)).toEqual([1, 3, 4, 2]);
});
