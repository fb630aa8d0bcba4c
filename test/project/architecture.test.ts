// The room table of ARCHITECTURE.md is the rule; this test makes it true, and proves that it looks.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repoRoot } from "../parts.ts";
import { checkRooms, importsOf, readRooms } from "./room-rules.ts";

const rooms = readRooms(readFileSync(join(repoRoot, "ARCHITECTURE.md"), "utf8"));
const sources = new Map(
  ["client", "server", "webviews"].flatMap(sourceFiles).map((file) => [file, read(file)] as const),
);
const before = new Set(checkRooms(rooms, sources).violations);

test("every file keeps to the room table", () => {
  expect(checkRooms(rooms, sources).violations).toEqual([]);
});

test("the table was read and the files were looked at", () => {
  const report = checkRooms(rooms, sources);
  expect(rooms.map((room) => room.name)).toContain("server/runtime");
  expect(rooms.length).toBeGreaterThanOrEqual(12);
  expect(report.files).toBeGreaterThan(60);
  expect(report.imports).toBeGreaterThan(report.files);
});

test.each([
  ["server/graph/planted.ts", `import { openDevice } from "../runtime/device.ts";`],
  ["server/graph/planted.ts", `const now = Date.now();`],
  ["server/lm/planted.ts", `import ort from "onnxruntime-node";`],
  ["server/sae/planted.ts", `import { readFileSync } from "node:fs";`],
  ["server/engine/planted.ts", `import type { Workbench } from "../workbench/workbench.ts";`],
  ["server/workbench/planted.ts", `import { Engine } from "../engine/engine.ts";`],
  ["server/workbench/planted.ts", `export * from "vscode-languageserver/node";`],
  ["server/protocol/planted.ts", `const it = await import("../tensor/tensor.ts");`],
  ["webviews/text/planted.tsx", `import { Workbench } from "../../server/workbench/workbench.ts";`],
  ["webviews/text/planted.tsx", `import * as vscode from "vscode";`],
  ["client/planted.ts", `import {\n  loadSae,\n} from "../server/sae/load.ts";`],
  ["server/planted/planted.ts", `export const a = 1;`],
  ["server/main.ts", `import ort from "onnxruntime-node";`],
])("a violation planted in %s is found: %s", (file, line) => {
  const text = `${sources.get(file) ?? ""}\n${line}\n`;
  const found = newViolations(rooms, new Map([...sources, [file, text]]));
  expect(found).not.toEqual([]);
  expect(found.every((it) => it.startsWith(file))).toBe(true);
});

test("a row that grants a room below it is found", () => {
  const upside = rooms.map((room) =>
    room.name === "server/graph" ? { ...room, mayImport: [...room.mayImport, "server/lm"] } : room,
  );
  const { violations } = checkRooms(upside, sources);
  expect(violations).toContain(
    "the row of server/graph grants server/lm, which is no room above it",
  );
});

test("a grant that nobody uses is found", () => {
  const idle = rooms.map((room) =>
    room.name === "server/lsp" ? { ...room, packages: [...room.packages, "left-pad"] } : room,
  );
  expect(newViolations(idle, sources)).toEqual([
    "server/lsp may import left-pad, but nothing does",
  ]);
});

test("imports are read in every form, comments are not", () => {
  const text = [
    `import "a";`,
    `import type { B } from "b";`,
    `import {\n  c,\n} from "c";`,
    `export * from "d";`,
    `const e = await import("e");`,
    `const f = require("f");`,
    `// import "g";`,
    `/** from "h" */`,
    `const i = 'from "i"';`,
  ].join("\n");
  expect(importsOf(text).toSorted()).toEqual(["a", "b", "c", "d", "e", "f"]);
});

/** What is found now and was not before something was planted. */
function newViolations(
  table: Parameters<typeof checkRooms>[0],
  files: Parameters<typeof checkRooms>[1],
): string[] {
  return checkRooms(table, files).violations.filter((it) => !before.has(it));
}

function sourceFiles(folder: string): string[] {
  return readdirSync(join(repoRoot, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => `${folder}/${name.replaceAll("\\", "/")}`);
}

function read(file: string): string {
  return readFileSync(join(repoRoot, file), "utf8");
}
