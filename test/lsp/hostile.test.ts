/** Hostile names and labels: a hover shows them as text, and its links run our commands with our arguments only. */
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { HeadlessClient } from "../../scripts/headless-client.ts";
import { repoRoot } from "../parts.ts";
import { startServer, textOf } from "./server.ts";

const hostile =
  "](command:workbench.action.quit) <img src=x onerror=alert(1)> <script>a</script> | `x` \u202e\u0000\n# h";
const folder = mkdtempSync(join(tmpdir(), "hostile-"));
/** A name that may stand in a file's address without being encoded there. */
const file = join(folder, "prompts", "a) [x](command:workbench.action.quit) (b.txt");
let client: HeadlessClient;

beforeAll(async () => {
  mkdirSync(join(folder, "prompts"));
  const sae = join(repoRoot, "demo/saes/resid2-1024");
  const every = Object.fromEntries(Array.from({ length: 1024 }, (_, at) => [at, hostile]));
  const name = "x) [y](command:workbench.action.quit)";
  const latents = { saes: [{ path: sae, name }], labels: { [name]: every } };
  writeFileSync(join(folder, "latents.jsonc"), JSON.stringify(latents));
  client = await startServer({
    workspaceFolder: folder,
    initializationOptions: { commandLinks: true },
  });
});
afterAll(async () => {
  await client.stop();
  rmSync(folder, { recursive: true });
});

test("labels, ids and file names of another's making are text in a hover", async () => {
  const uri = await client.open(file, "Albert Einstein was born in Ulm.");
  const text = textOf(await client.hover(uri, { line: 0, character: 9 })) ?? "";
  expect(text).toMatch(/onerror/);
  // What stands in code is shown as it is.
  const outside = text.replace(/`[^`\n]*`/g, "");
  const links = [...outside.matchAll(/(?<!\\)\]\(([^)\s]*)\)/g)].map(([, target]) => target ?? "");
  expect(links.length).toBeGreaterThan(1);
  for (const link of links) {
    expect(link).toMatch(/^command:latentWorkbench\.\w+\?/);
    const given: unknown = JSON.parse(decodeURIComponent(link.slice(link.indexOf("?") + 1)));
    expect(JSON.stringify(given)).toMatch(/"uri":|"sae":/);
  }
  // Outside of links and code nothing begins a tag, a link or a line of its own.
  const rest = outside.replace(/(?<!\\)\[[^\]]*\]\([^)\s]*\)/g, "");
  expect(rest).not.toMatch(/<|(?<!\\)\]\(|^# /m);
  for (const mark of ["\u202e", "\u0000"]) expect(text).not.toContain(mark);
});

test("inlay hints and lenses carry no control characters", async () => {
  await client.configure({ inlayHints: { enabled: true } });
  const uri = await client.open(file, "Albert Einstein was born in Ulm.");
  await client.hover(uri, { line: 0, character: 9 });
  const range = { start: { line: 0, character: 0 }, end: { line: 0, character: 40 } };
  const textDocument = { uri };
  const hints = await client.connection.sendRequest("textDocument/inlayHint", {
    textDocument,
    range,
  });
  const lenses = await client.connection.sendRequest("textDocument/codeLens", { textDocument });
  for (const answer of [hints, lenses]) {
    expect((answer as unknown[]).length).toBeGreaterThan(0);
    expect(JSON.stringify(answer)).not.toMatch(/\u202e|(?<!\\)\\u0000/);
  }
});
