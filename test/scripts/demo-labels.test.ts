import { mkdtempSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { carryLabels } from "../../scripts/demo-labels.ts";
import { writeSafetensors } from "../../server/encoding/safetensors.ts";
import { tensor } from "../../server/tensor/tensor.ts";

const scratch = mkdtempSync(join(tmpdir(), "latent-workbench-labels-"));

function sae(name: string, rows: readonly (readonly number[])[], labels?: object): string {
  const folder = join(scratch, name);
  mkdirSync(folder);
  const W_dec = tensor("float32", [rows.length, 3], Float32Array.from(rows.flat()));
  const bytes = writeSafetensors(new Map([["W_dec", W_dec]]));
  writeFileSync(join(folder, "sae_weights.safetensors"), bytes);
  if (labels) writeFileSync(join(folder, "labels.json"), JSON.stringify(labels));
  return folder;
}

test("a label follows its direction, and is dropped where the direction has gone", () => {
  const before = sae(
    "before",
    [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ],
    { 0: { label: "x" }, 1: { label: "y" }, 2: { label: "z" } },
  );
  // Longer and slightly turned; a second one near x that is not the nearest; nothing near z.
  const now = sae("now", [
    [0.1, 5, 0],
    [0.8, 0.5, 0],
    [2, 0.1, 0],
  ]);
  const { labels, before: count, sameShare, counterparts } = carryLabels(before, now);
  expect(labels).toEqual({ 0: { label: "y" }, 2: { label: "x" } });
  expect(count).toBe(3);
  expect(sameShare).toBeCloseTo(2 / 3, 10);
  expect([...counterparts]).toEqual([
    [0, 2],
    [1, 0],
  ]);
});

test("a meta-latent's list of latents is renumbered, without those that have gone", () => {
  const label = { label: "m", topLatents: [4, 9], topTokens: [" a", " b"] };
  const before = sae("meta-before", [[1, 0, 0]], { 0: label });
  const now = sae("meta-now", [[1, 0, 0]]);
  const { labels } = carryLabels(before, now, new Map([[9, 70]]));
  expect(labels).toEqual({ 0: { label: "m", topLatents: [70], topTokens: [" b"] } });
});
