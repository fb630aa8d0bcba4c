/** SAE folders and models whose configs or weights are damaged or hostile: read, or refused in words; nothing else. */
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { UserError } from "../../server/base/errors.ts";
import { openWeights } from "../../server/files/weights.ts";
import { loadLm } from "../../server/lm/load.ts";
import { openDevice } from "../../server/runtime/device.ts";
import { loadSae } from "../../server/sae/load.ts";
import { mutated, mutatedJson } from "../encoding/mutate.ts";
import { scratchFolder } from "../files/scratch.ts";
import { repoRoot } from "../parts.ts";
import { seeded } from "../random.ts";

const formats = join(repoRoot, "test/golden/sae-formats");
const scratch = scratchFolder();
const perFolder = 60;

const folders = [
  "sae-lens/standard/plain",
  "sae-lens/jumprelu/plain",
  "sae-lens/transcoder/plain",
  "sae-lens/legacy/v3_hook_z",
  "dictionary-learning/topk_AutoEncoderTopK",
  "dictionary-learning/matryoshka_MatryoshkaBatchTopKSAE",
];

/** "read" or the error's code; any other failure is told with what was damaged. */
async function outcome(work: () => unknown, name: string): Promise<string> {
  try {
    await work();
    return "read";
  } catch (error) {
    if (!(error instanceof UserError))
      throw new Error(`${name}: ${String(error)}`, { cause: error });
    return error.code;
  }
}

/** Damages one file of a folder: JSON by its values or its bytes, weights by their bytes. */
function damage(folder: string, random: () => number): string {
  const names = readdirSync(folder).filter((name) => !/golden|README/.test(name));
  const files = names.filter((name) => statSync(join(folder, name)).isFile());
  const name = files[Math.floor(random() * files.length)]!;
  const path = join(folder, name);
  const bytes = new Uint8Array(readFileSync(path));
  if (name.endsWith(".json") && random() < 0.8) {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    writeFileSync(path, JSON.stringify(mutatedJson(value, random)));
  } else writeFileSync(path, mutated(bytes, random));
  return name;
}

test(`${folders.length * perFolder} damaged SAE folders`, async () => {
  const codes = new Map<string, number>();
  for (const [nth, source] of folders.entries()) {
    for (let at = 0; at < perFolder; at++) {
      const folder = join(scratch, `sae-${nth}-${at}`);
      cpSync(join(formats, source), folder, { recursive: true });
      const name = damage(folder, seeded((nth * 1000 + at + 1) * 2_654_435_761));
      const facts = { hook: "blocks.0.hook_resid_post", k: 4 };
      const load = async (): Promise<void> => (await loadSae(folder, { facts })).close();
      const code = await outcome(load, `${source} ${at}: ${name}`);
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
  }
  console.log([...codes].map(([code, n]) => `${n} ${code}`).join(", "));
  expect(codes.size).toBeGreaterThan(4);
  expect(codes.has("read")).toBe(true);
});

test("150 damaged models and shard indexes", async () => {
  const { device } = await openDevice({ device: "cpu", threads: 1, memoryBudget: 2 ** 30 });
  const lms = join(repoRoot, "test/golden/tiny-lms");
  const sources = readdirSync(lms).filter((name) => statSync(join(lms, name)).isDirectory());
  const codes = new Map<string, number>();
  for (let at = 0; at < 100; at++) {
    const folder = join(scratch, `lm-${at}`);
    cpSync(join(lms, sources[at % sources.length]!), folder, { recursive: true });
    const name = damage(folder, seeded((at + 1) * 2_654_435_761));
    const load = async (): Promise<void> => (await loadLm(folder, device)).release();
    const code = await outcome(load, `${sources[at % sources.length]} ${at}: ${name}`);
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  for (const [key, size] of [
    ["hidden_size", 2 ** 53],
    ["head_dim", 2 ** 40],
    ["num_hidden_layers", 1e9],
  ] as const) {
    const folder = join(scratch, `lm-${key}`);
    cpSync(join(lms, "llama"), folder, { recursive: true });
    const path = join(folder, "config.json");
    const config = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    writeFileSync(path, JSON.stringify({ ...config, [key]: size }));
    expect(await outcome(() => loadLm(folder, device), key)).toBe("bad-config");
  }
  for (let at = 0; at < 50; at++) {
    const folder = join(scratch, `index-${at}`);
    mkdirSync(folder);
    const weights = join(formats, "sae-lens/standard/plain/sae_weights.safetensors");
    cpSync(weights, join(folder, "a.safetensors"));
    const index = { weight_map: { W_enc: "a.safetensors", b_enc: "a.safetensors" } };
    const hostile = mutatedJson(index, seeded((at + 1) * 2_654_435_761));
    writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify(hostile));
    const code = await outcome(() => openWeights(folder).close(), `index ${at}`);
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  await device.close();
  console.log([...codes].map(([code, n]) => `${n} ${code}`).join(", "));
  expect(codes.size).toBeGreaterThan(4);
});
