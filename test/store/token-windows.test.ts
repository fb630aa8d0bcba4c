// Token windows on disk: two bytes a token where the vocabulary allows, and nothing is taken for one that is not.
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeSafetensors } from "../../server/encoding/safetensors.ts";
import { TokenWindows, TokenWindowsBuilder } from "../../server/store/token-windows.ts";
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";

const scratch = mkdtempSync(join(tmpdir(), "latent-workbench-windows-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test.each([
  [50_000, 2],
  [200_000, 4],
])("windows of a vocabulary of %i come back", (d_vocab, bytesPerToken) => {
  const builder = new TokenWindowsBuilder(d_vocab);
  const windows = [[0, 1, d_vocab - 1], [7], [], Array.from({ length: 70_000 }, (_, i) => i % 999)];
  for (const window of windows) builder.push(window);
  const file = join(scratch, `${d_vocab}.safetensors`);
  builder.finish({ corpus: ["a.txt"] }).write(file);
  const found = TokenWindows.read(file);
  expect(found.count).toBe(4);
  expect(found.facts).toEqual({ corpus: ["a.txt"] });
  expect(windows.map((_, i) => [...found.window(i)])).toEqual(windows);
  expect(statSync(file).size).toBeLessThan(found.tokens * bytesPerToken + 400);
});

test("another safetensors file is no file of windows", () => {
  const file = join(scratch, "other.safetensors");
  writeFileSync(
    file,
    writeSafetensors(new Map([["ids", tensor("uint16", [2], Uint16Array.of(1, 2))]])),
  );
  expect(() => TokenWindows.read(file)).toThrow(
    /is no file of token windows: its format is not named/,
  );
  const format = { format: "latent-workbench-token-windows-1" };
  const tensors = new Map<string, Tensor>([
    ["ids", tensor("uint16", [2], Uint16Array.of(1, 2))],
    ["starts", tensor("uint32", [2], Uint32Array.of(0, 3))],
  ]);
  writeFileSync(file, writeSafetensors(tensors, format));
  expect(() => TokenWindows.read(file)).toThrow(/its ids and starts do not fit together/);
});
