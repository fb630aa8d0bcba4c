/** Our side of the hover benchmark: the reader's process, asked over IPC as the language server asks it. */
import { join } from "node:path";
import type { ReaderInfo } from "../server/protocol/reader.ts";
import { ReaderProcess } from "../server/workbench/reader-process.ts";
import { peakOfTree } from "./process-memory.ts";
import { repoRoot } from "./places.ts";
import type { Edited } from "./hover-texts.ts";

/** One text read. */
export interface Reading {
  readonly ms: number;
  readonly tokens: number;
  /** Top 10 latents of the last token, strongest first. */
  readonly last: readonly number[];
  readonly peakMB: number | null;
}

/** What is loaded, and on what. */
export interface OursOptions {
  readonly lm: string;
  readonly sae: string;
  readonly threads: number;
  readonly device: ReaderInfo["device"];
}

/** A reader with one model and one SAE. */
export class OurReader {
  readonly #reader: ReaderProcess;
  readonly info: ReaderInfo;
  readonly #lm: string;
  readonly #sae: string;
  #streams = 0;

  private constructor(reader: ReaderProcess, info: ReaderInfo, lm: string, sae: string) {
    this.#reader = reader;
    this.info = info;
    this.#lm = lm;
    this.#sae = sae;
  }

  /** Starts the reader and loads both. */
  static async start({ lm, sae, threads, device }: OursOptions): Promise<OurReader> {
    const reader = new ReaderProcess({
      program: join(repoRoot, "dist/reader.js"),
      settings: () => ({
        device,
        threads,
        memoryBudget: 8 * 2 ** 30,
        cacheFolder: join(repoRoot, ".cache/bench"),
        sampleText: join(repoRoot, "demo/self-check.txt"),
      }),
      onExit: ({ reason, expected }) => {
        if (!expected) console.error(reason);
      },
      onLog: (text) => console.error(text),
    });
    const info = await reader.call("info", {});
    const { id } = await reader.call("loadLm", { path: lm });
    const loaded = await reader.call("loadSae", { path: sae, lm: id });
    return new OurReader(reader, info, id, loaded.id);
  }

  /** Reads a text that nothing is known about. */
  cold(text: string): Promise<Reading> {
    return this.#analyse(`cold ${this.#streams++}`, text);
  }

  /** Reads a text, untimed, then times reading what one typed character made of it. */
  async edited({ before, after }: Edited): Promise<Reading> {
    const stream = `edit ${this.#streams++}`;
    await this.#analyse(stream, before);
    return this.#analyse(stream, after);
  }

  stop(): void {
    this.#reader.stop("the benchmark is done");
  }

  async #analyse(stream: string, text: string): Promise<Reading> {
    const start = performance.now();
    const { tokens, saes } = await this.#reader.call("analyse", {
      stream,
      lm: this.#lm,
      saes: [this.#sae],
      context: { kind: "plain", parts: [{ text, fileStart: 0 }] },
    });
    const ms = performance.now() - start;
    const reading = saes[this.#sae];
    if (!reading) throw new Error(`no reading of ${this.#sae}`);
    const from = reading.offsets.at(-2) ?? 0;
    return {
      ms,
      tokens: tokens.ids.length,
      last: [...reading.latents.subarray(from, Math.min(from + 10, reading.offsets.at(-1) ?? 0))],
      peakMB: this.#reader.pid === undefined ? null : peakOfTree(this.#reader.pid),
    };
  }
}
