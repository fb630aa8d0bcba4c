/** The language server's part of the hover benchmark: what an editor waits for. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HeadlessClient } from "../scripts/headless-client.ts";
import { peakOfTree } from "./process-memory.ts";
import { repoRoot } from "./places.ts";
import type { OursOptions } from "./hover-ours.ts";

/** What an editor waited for on one text. */
export interface ServerTimes {
  /** From the start of the server's process to the first hover. */
  readonly firstHoverMs: number;
  /** First hovers on tokens of a text that was read: what their latents raise is still unknown. */
  readonly firstMs: readonly number[];
  /** Hovers on the same tokens again. */
  readonly cachedMs: readonly number[];
  /** From a typed character at the end to the hover that knows it. */
  readonly typedMs: readonly number[];
  /** Server and reader together. */
  readonly peakMB: number | null;
}

const hoveredTokens = 120;
const cachedRounds = 4;
const typedCharacters = 12;

/** Starts a server, opens the text and hovers. */
export async function timeServer(text: string, options: OursOptions): Promise<ServerTimes> {
  const folder = mkdtempSync(join(tmpdir(), "latent-workbench-bench-"));
  const began = performance.now();
  const client = await HeadlessClient.start({
    server: join(repoRoot, "dist/main.js"),
    workspaceFolder: folder,
    settings: {
      lm: options.lm,
      saes: [options.sae],
      threads: options.threads,
      device: options.device,
      cacheFolder: join(repoRoot, ".cache/bench"),
      files: ["**/*.txt"],
    },
  });
  try {
    const uri = await client.open(join(folder, "bench.txt"), text);
    await hover(client, uri, text, 5);
    const firstHoverMs = performance.now() - began;
    // The self-check of the SAE runs behind the first hover.
    await idle(2000);
    // 7919 is prime: the hovers fall all over the text.
    const offsets = Array.from({ length: hoveredTokens }, (_, i) => (i * 7919) % text.length);
    const firstMs: number[] = [];
    for (const offset of offsets) firstMs.push(await hover(client, uri, text, offset));
    const cachedMs: number[] = [];
    for (let round = 0; round < cachedRounds; round++)
      for (const offset of offsets) cachedMs.push(await hover(client, uri, text, offset));
    const typedMs: number[] = [];
    let typed = text;
    for (let index = 0; index < typedCharacters; index++) {
      const end = positionAt(typed, typed.length);
      typed += "scientists"[index % 10];
      const start = performance.now();
      await client.change(uri, [{ range: { start: end, end }, text: typed.at(-1) ?? "" }]);
      await hover(client, uri, typed, typed.length - 1);
      typedMs.push(performance.now() - start);
      await idle();
    }
    const { pid } = client.process;
    return {
      firstHoverMs,
      firstMs,
      cachedMs,
      typedMs: typedMs.slice(2),
      peakMB: pid === undefined ? null : peakOfTree(pid),
    };
  } finally {
    await client.stop();
    rmSync(folder, { recursive: true });
  }
}

/** Milliseconds from asking for the hover at an offset to its answer; there has to be one. */
export async function hover(
  client: HeadlessClient,
  uri: string,
  text: string,
  offset: number,
): Promise<number> {
  const start = performance.now();
  const answer = await client.hover(uri, positionAt(text, offset));
  const ms = performance.now() - start;
  if (!answer) throw new Error(`no hover at offset ${offset} of the benchmark's text`);
  return ms;
}

function positionAt(text: string, offset: number): { line: number; character: number } {
  const before = text.slice(0, offset).split("\n");
  return { line: before.length - 1, character: before.at(-1)?.length ?? 0 };
}

/** Lets what the server does on the side (predictions, refreshes) come to rest. */
function idle(ms = 300): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
