// Folders that a sweep was written into, and folders that only look so.
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readSweep } from "../../server/workbench/sweep-folder.ts";
import { fakeSweep } from "../e2e/fake-sweep.mjs";

const folderWith = (value: unknown): string => {
  const folder = mkdtempSync(join(tmpdir(), "latent-workbench-sweep-"));
  writeFileSync(join(folder, "sweep.json"), JSON.stringify(value));
  return folder;
};
const sweep = fakeSweep();

test("what the command line wrote comes back as it is", () => {
  expect(readSweep(folderWith(sweep))).toEqual(sweep);
  expect(readSweep(folderWith({ ...sweep, rows: [] })).rows).toEqual([]);
});

test("a folder without the file is said to be none", () => {
  const folder = mkdtempSync(join(tmpdir(), "latent-workbench-sweep-"));
  expect(() => readSweep(folder)).toThrow(`${folder} holds no sweep.json; expected a folder that`);
});

test.each([
  null,
  [],
  {},
  { ...sweep, schemaVersion: 2 },
  { ...sweep, rows: {} },
  { ...sweep, rows: [null] },
  { ...sweep, corpus: {} },
  { ...sweep, rows: [{ ...sweep.rows[0], l0: "3" }] },
  { ...sweep, rows: [{ ...sweep.rows[0], labels: [{ label: 3 }] }] },
  { ...sweep, rows: [{ ...sweep.rows[0], mean: null }] },
])("refused: case %#", (value) => {
  expect(() => readSweep(folderWith(value))).toThrow("is no sweep of this version");
});
