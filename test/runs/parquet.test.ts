// Parquet as pyarrow writes it (test/python/make_parquet.py), read row group by row group.
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openParquet } from "../../server/encoding/parquet.ts";
import type { CorpusDocument } from "../../server/engine/runs/corpus-document.ts";
import { type DocumentRules, readDocuments } from "../../server/engine/runs/documents.ts";
import { repoRoot } from "../parts.ts";

const golden = (name: string): string => join(repoRoot, "test/golden/parquet", name);
const rules: DocumentRules = { textDocuments: "file", textField: "text", leaveOut: 0 };

async function documents(
  path: string,
  changes: Partial<DocumentRules> = {},
): Promise<CorpusDocument[]> {
  const found: CorpusDocument[] = [];
  for await (const it of readDocuments(path, { ...rules, ...changes })) found.push(it);
  return found;
}

test.each(["snappy", "zstd", "gzip", "brotli", "none"])(
  "texts, compressed with %s: rows in order, empty cells left out",
  async (codec) => {
    const found = await documents(golden(`texts-${codec}.parquet`));
    const wanted = Array.from({ length: 250 }, (_, i) => i)
      .filter((i) => i !== 7 && i !== 8)
      .map((i) => ({
        text: `Row ${i}: the whale swims — ${"deep ".repeat(i % 5)}🐋`,
        continues: false,
      }));
    expect(found).toEqual(wanted);
  },
);

test("conversations, and a column of another name", async () => {
  const chats = await documents(golden("messages.parquet"));
  expect(chats[1]).toEqual({
    messages: [
      { role: "user", content: "question 1" },
      { role: "assistant", content: "answer" },
    ],
  });
  const texts = await documents(golden("content.parquet"), { textField: "content" });
  expect(texts).toEqual([
    { text: "one", continues: false },
    { text: "two", continues: false },
  ]);
});

test("the same documents are left out at every reading", async () => {
  const path = golden("texts-zstd.parquet");
  const kept = await documents(path, { leaveOut: 10 });
  expect(kept.length).toBeGreaterThan(205);
  expect(kept.length).toBeLessThan(240);
  expect(await documents(path, { leaveOut: 10 })).toEqual(kept);
});

test("one row group is read at a time, and only the columns asked for", async () => {
  const bytes = readFileSync(golden("texts-none.parquet"));
  const whole = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  const stretches: number[] = [];
  const file = await openParquet({
    byteLength: whole.byteLength,
    slice(from, to) {
      stretches.push((to ?? whole.byteLength) - from);
      return whole.slice(from, to);
    },
  });
  expect(file.columns).toEqual(["id", "text"]);
  stretches.length = 0;
  const groups = file.rowGroups(["text"]);
  const first = (await groups.next()).value as Record<string, unknown>[];
  expect(first).toHaveLength(100);
  expect(Object.keys(first[0]!)).toEqual(["text"]);
  const read = stretches.reduce((sum, it) => sum + it, 0);
  expect(read).toBeGreaterThan(0);
  expect(read).toBeLessThan(whole.byteLength / 2);
});

test("what cannot be read is named", async () => {
  await expect(documents(golden("content.parquet"))).rejects.toMatchObject({
    code: "no-text-column",
    message: expect.stringMatching(/no column "text"; it has content, stars: .*data.textField/),
  });
  await expect(documents(golden("content.parquet"), { textField: "stars" })).rejects.toMatchObject({
    code: "bad-parquet-row",
    message: expect.stringMatching(/^row 1 of /),
  });
  const cut = join(mkdtempSync(join(tmpdir(), "latent-workbench-parquet-")), "cut.parquet");
  writeFileSync(cut, readFileSync(golden("texts-zstd.parquet")).subarray(0, 1000));
  await expect(documents(cut)).rejects.toMatchObject({
    code: "bad-parquet",
    message: expect.stringMatching(/cut.parquet: not a readable Parquet file/),
  });
});
