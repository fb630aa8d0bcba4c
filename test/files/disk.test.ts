import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  exists,
  fileSize,
  listFiles,
  listFolder,
  readBytes,
  readJson,
  readText,
  writeFileAtomic,
} from "../../server/files/disk.ts";
import { refusal, scratchFolder } from "./scratch.ts";

const folder = scratchFolder();

test("a file is written whole, in folders made for it, and leaves no temporary name", () => {
  const path = join(folder, "a/b/c.json");
  writeFileAtomic(path, '{"x": 1}');
  writeFileAtomic(path, '{"x": 2}');
  expect(readJson(path)).toEqual({ x: 2 });
  expect(listFolder(join(folder, "a/b"))).toEqual(["c.json"]);
  expect(fileSize(path)).toBe(8);
  expect([...readBytes(path, 2, 4)]).toEqual([0x78, 0x22]);
});

test("a failed write leaves what was there and no temporary name", () => {
  mkdirSync(join(folder, "full/taken"), { recursive: true });
  const error = refusal(() => writeFileAtomic(join(folder, "full/taken"), "x"));
  expect(error.code).toBe("unwritable-file");
  expect(readdirSync(join(folder, "full"))).toEqual(["taken"]);
});

test("text is UTF-8 or an error that says where it is not", () => {
  const path = join(folder, "text.txt");
  writeFileSync(path, "\ufeffπ\n");
  expect(readText(path)).toBe("π\n");
  for (const [bytes, offset] of [
    [[0x61, 0xff, 0x62], 1],
    [[0x61, 0xcf, 0x80, 0xe2, 0x82], 3],
    [[0x80], 0],
    [[0xed, 0xa0, 0x80], 0],
  ] as const) {
    writeFileSync(path, Uint8Array.from(bytes));
    expect(refusal(() => readText(path)).message).toContain(
      `text.txt is not UTF-8 text: byte ${offset} begins no character`,
    );
  }
});

test("missing, unreadable and malformed files say so", () => {
  expect(exists(join(folder, "none"))).toBe(false);
  expect(refusal(() => readText(join(folder, "none"))).message).toBe(
    `${join(folder, "none")} does not exist; check the path`,
  );
  expect(refusal(() => readBytes(folder)).code).toBe("unreadable-file");
  expect(refusal(() => listFolder(join(folder, "none"))).code).toBe("file-not-found");
  writeFileSync(join(folder, "bad.json"), "{");
  expect(refusal(() => readJson(join(folder, "bad.json"))).code).toBe("not-json");
  writeFileSync(join(folder, "short"), "abc");
  expect(refusal(() => readBytes(join(folder, "short"), 1, 9)).message).toContain(
    "ended early: expected 9 bytes, found 3",
  );
});

test("files of a tree are listed once, links to folders not followed", () => {
  mkdirSync(join(folder, "tree/deep"), { recursive: true });
  writeFileSync(join(folder, "tree/deep/x"), "");
  writeFileSync(join(folder, "tree/y"), "");
  symlinkSync(join(folder, "tree"), join(folder, "tree/again"));
  expect(listFiles(join(folder, "tree"))).toEqual(["again", "deep/x", "y"]);
});
