// Corpora: files to documents, documents to token windows, by the policy of the run file.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildTokenWindows, type WindowPolicy } from "../../server/engine/runs/corpus.ts";
import type { CorpusDocument } from "../../server/engine/runs/corpus-document.ts";
import { corpusFiles } from "../../server/engine/runs/corpus-files.ts";
import { readDocuments } from "../../server/engine/runs/documents.ts";
import { LmSource } from "../../server/engine/runs/lm-source.ts";
import type { LanguageModel } from "../../server/lm/language-model.ts";
import { loadLm } from "../../server/lm/load.ts";
import { Stream } from "../../server/lm/stream.ts";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import type { TokenWindows } from "../../server/store/token-windows.ts";
import { repoRoot } from "../parts.ts";

const scratch = mkdtempSync(join(tmpdir(), "latent-workbench-corpus-"));
let device: Device;
let lm: LanguageModel;

beforeAll(async () => {
  ({ device } = await openDevice({ device: "cpu", threads: 1, memoryBudget: 2 ** 31 }));
  lm = await loadLm(join(repoRoot, "demo/lm"), device);
});

afterAll(async () => {
  await lm.release();
  await device.close();
  rmSync(scratch, { recursive: true, force: true });
});

const policy: WindowPolicy = {
  textDocuments: "file",
  textField: "text",
  leaveOut: 0,
  ctx: 16,
  prependBos: true,
  documents: "join",
  separator: "eos",
  specialTokens: "text",
  minTokens: 4,
  maxTokens: 0,
};

function file(name: string, content: string | Uint8Array): string {
  const path = join(scratch, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, content);
  return path;
}

async function documents(
  path: string,
  rules: Partial<WindowPolicy> = {},
): Promise<CorpusDocument[]> {
  const found: CorpusDocument[] = [];
  for await (const document of readDocuments(path, { ...policy, ...rules })) found.push(document);
  return found;
}

async function build(
  files: readonly string[],
  rules: Partial<WindowPolicy> = {},
): Promise<TokenWindows> {
  const report = { signal: new AbortController().signal, onProgress: () => {} };
  return buildTokenWindows(lm, await corpusFiles(files), { ...policy, ...rules }, report);
}

function idsOf(windows: TokenWindows): number[][] {
  return Array.from({ length: windows.count }, (_, i) => [...windows.window(i)]);
}

test("text files: whole, between empty lines, by line", async () => {
  const path = file("a.txt", "one\r\ntwo\n\n\n three\n");
  expect(await documents(path)).toEqual([{ text: "one\r\ntwo\n\n\n three\n", continues: false }]);
  expect(await documents(path, { textDocuments: "blank-lines" })).toEqual([
    { text: "one\ntwo", continues: false },
    { text: " three", continues: false },
  ]);
  expect((await documents(path, { textDocuments: "lines" })).length).toBe(3);
});

test("a long text is cut after a line's end, inside no character, and loses none", async () => {
  const line = `${"naïve 😀 ".repeat(40)}\n`;
  const text = line.repeat(600) + "😀".repeat(70_000);
  const found = await documents(file("long.txt", text));
  const texts = found.map((it) => ("text" in it ? it.text : ""));
  expect(texts.join("")).toBe(text);
  expect(texts.length).toBeGreaterThan(4);
  expect(texts.slice(0, 3).every((it) => it.endsWith("\n"))).toBe(true);
  for (const it of texts) expect(it).not.toMatch(/^[\udc00-\udfff]|[\ud800-\udbff]$/);
  expect(found.map((it) => "continues" in it && it.continues)).toEqual([
    ...texts.slice(1).map(() => true),
    false,
  ]);
});

test("gzip is unpacked; a file that is cut off or no UTF-8 is an error", async () => {
  const text = "some text\n".repeat(50_000);
  const packed = gzipSync(text);
  const [first] = await documents(file("b.txt.gz", packed), { textDocuments: "blank-lines" });
  expect(first).toEqual({ text: text.trimEnd(), continues: false });
  const cut = file("cut.txt.gz", packed.subarray(0, packed.length - 40));
  await expect(documents(cut)).rejects.toThrow(/cut.txt.gz cannot be read/);
  const bad = file("bad.txt", Buffer.from([65, 0xff, 66]));
  await expect(documents(bad)).rejects.toThrow(/bad.txt is not UTF-8 text/);
});

test("JSON Lines: texts and conversations; bad lines are named", async () => {
  const messages = [
    { role: "user", content: "hi" },
    { role: "assistant", content: "hello" },
  ];
  const lines = [{ text: "a" }, { content: "b", text: "c" }, { messages }];
  const path = file("c.jsonl", `${lines.map((it) => JSON.stringify(it)).join("\n")}\n\n`);
  expect(await documents(path)).toEqual([
    { text: "a", continues: false },
    { text: "c", continues: false },
    { messages },
  ]);
  await expect(documents(path, { textField: "content" })).rejects.toThrow(
    /line 1 of .*c.jsonl: expected a text under "content" or messages .* found the keys text; name the text's key/,
  );
  await expect(documents(file("d.jsonl", "{"))).rejects.toThrow(/line 1 of .*: it is not JSON/);
});

test("leaving out every n-th document by hash is stable", async () => {
  const path = file("e.txt", Array.from({ length: 300 }, (_, i) => `document ${i}`).join("\n"));
  const kept = await documents(path, { textDocuments: "lines", leaveOut: 10 });
  expect(kept.length).toBeGreaterThan(250);
  expect(kept.length).toBeLessThan(290);
  expect(await documents(path, { textDocuments: "lines", leaveOut: 10 })).toEqual(kept);
});

test("folders stand for their texts; what is missing or of another kind is named", async () => {
  file("folder/b.md", "b");
  file("folder/sub/a.jsonl.gz", gzipSync('"a"'));
  file("folder/image.png", "");
  file("folder/c.parquet", "");
  expect((await corpusFiles([join(scratch, "folder")])).map(({ name }) => name)).toEqual([
    join(scratch, "folder/b.md"),
    join(scratch, "folder/c.parquet"),
    join(scratch, "folder/sub/a.jsonl.gz"),
  ]);
  await expect(corpusFiles([join(scratch, "nowhere")])).rejects.toThrow(
    /the corpus .*nowhere is not there/,
  );
  await expect(corpusFiles([file("x.png", "")])).rejects.toThrow(
    /x.png is no corpus that can be read/,
  );
});

test("joined documents lose no token and are parted by EOS", async () => {
  const text = readFileSync(join(repoRoot, "demo/self-check.txt"), "utf8").slice(0, 900);
  const [half, rest] = [text.slice(0, 450), text.slice(450)];
  const files = [file("one.txt", half), file("two.txt", rest)];
  const windows = idsOf(await build(files));
  const bos = lm.tokenizer.bosId!;
  const eos = lm.tokenizer.eosIds[0]!;
  expect(windows.every((ids) => ids[0] === bos && ids.length <= 16)).toBe(true);
  expect(windows.slice(0, -1).every((ids) => ids.length === 16)).toBe(true);
  const all = [...lm.tokenizer.encode(half).ids, eos, ...lm.tokenizer.encode(rest).ids, eos];
  // A rest of fewer than minTokens is left out.
  const kept = windows.flatMap((ids) => ids.slice(1));
  expect(kept).toEqual(all.slice(0, kept.length));
  expect(all.length - kept.length).toBeLessThan(4);
});

test("split documents never share a window; BOS and EOS are left out where asked", async () => {
  const path = file("f.txt", `short\n${"word ".repeat(60)}\nanother line of text here\n`);
  const rules = { textDocuments: "lines", documents: "split", prependBos: false } as const;
  const windows = await build([path], rules);
  const texts = idsOf(windows).map((ids) => lm.tokenizer.decode(ids));
  expect(texts.at(-1)).toBe("another line of text here");
  expect(texts.slice(0, -1).every((text) => /^( ?word ?)+$/.test(text))).toBe(true);
});

test("text that spells a special token stays text unless it is parsed", async () => {
  const path = file("g.txt", "before <|endoftext|> after and some more words");
  const eos = lm.tokenizer.eosIds[0]!;
  const count = (windows: TokenWindows) =>
    idsOf(windows)
      .flatMap((ids) => ids.slice(1))
      .filter((id) => id === eos).length;
  expect(count(await build([path], { separator: "none" }))).toBe(0);
  expect(count(await build([path], { separator: "none", specialTokens: "parse" }))).toBe(1);
});

test("no more tokens than asked for; an empty corpus is an error", async () => {
  const path = join(repoRoot, "demo/self-check.txt");
  const windows = await build([path, path], { maxTokens: 100 });
  expect(windows.tokens).toBeGreaterThanOrEqual(100);
  expect(windows.tokens).toBeLessThan(120);
  expect(windows.facts["unread"]).toEqual([path]);
  await expect(build([file("empty.txt", "")])).rejects.toThrow(
    /empty.txt gives no window of at least 4 tokens/,
  );
});

test("rows are the model's activations at kept positions, whatever the length of the window", async () => {
  const path = join(repoRoot, "demo/self-check.txt");
  const hooks = [
    "blocks.2.hook_resid_post",
    "blocks.1.hook_resid_pre",
    "hook_embed",
    "blocks.0.attn.hook_z",
  ];
  const windows = await build([path], { ctx: 48, maxTokens: 96 });
  const source = new LmSource(lm, windows, hooks, { skipPositions: 1, skipSpecial: true });
  const ids = windows.window(1);
  const rows = await source.read(1);
  const kept = source.keptPositions(ids);
  expect(source.pieceRows[1]).toBe(kept.length);
  expect(kept[0]).toBe(1);
  const stream = new Stream(lm);
  stream.setIds(ids);
  const wanted = await stream.read(hooks.map((hook) => lm.hook(hook)));
  for (const [hook, tensor] of wanted) {
    const width = source.widths.get(hook)!;
    const flat = kept.flatMap((at) => [...tensor.data.subarray(at * width, (at + 1) * width)]);
    const found = rows.get(hook)!;
    expect(found.length).toBe(flat.length);
    flat.forEach((x, i) => expect(Math.abs(found[i]! - x)).toBeLessThan(1e-3));
  }
  stream.dispose();
});
