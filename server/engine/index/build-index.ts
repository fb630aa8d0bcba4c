/**
 * Builds a latent index in phases, each of which goes on after its last whole file: tokens; postings (the LM and the SAE
 * over every window); contexts, histograms and tokens of each latent; co-activation; logits; neighbours. What memory it
 * takes is reckoned in `index-memory.ts`; what the files hold is said in `store/latent-index.ts`.
 */
import { logitLens } from "../../lm/logit-lens.ts";
import { parseHookPoint, writesToResidual } from "../../lm/hook-points.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import type { Device } from "../../runtime/device.ts";
import type { SaeDescription } from "../../sae/load.ts";
import { nearestRows, unitVectors } from "../../sae/nearest-rows.ts";
import type { Sae } from "../../sae/sae.ts";
import { emptyPart, writeArrays, writePart } from "../../store/index-writer.ts";
import type { Facet, IndexPart, IndexSizes } from "../../store/latent-index.ts";
import { Postings, PostingsBuilder } from "../../store/postings.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import { LmSource } from "../runs/lm-source.ts";
import type { DataReport } from "../runs/open-data.ts";
import { fillCoactive, stretchEnd } from "./coactive.ts";
import type { CorpusTokens } from "./corpus-tokens.ts";
import type { IndexFiles } from "./index-files.ts";
import type { IndexCuts } from "./index-memory.ts";
import { LatentContexts, type SummaryArrays } from "./latent-contexts.ts";
import { TokenLatents } from "./token-latents.ts";

/** What an index is built with. */
export interface IndexTask {
  readonly files: IndexFiles;
  readonly lm: LanguageModel;
  readonly sae: Sae;
  readonly description: SaeDescription;
  readonly device: Device;
  readonly corpus: CorpusTokens;
  readonly sizes: IndexSizes;
  readonly cuts: IndexCuts;
  readonly report: DataReport;
}

/** Latents whose logits are computed together, and written as one part. */
const effectsBatch = 128;
const listPart = 4096;

/** Runs every phase that is not done yet. */
export async function buildIndex(task: IndexTask): Promise<void> {
  const { files, description } = task;
  await readCorpus(task);
  const postings = new Postings(files.folder, files.shards, description.config.d_sae);
  await writeContexts(task, postings);
  await writeCoactive(task, postings);
  await writeEffects(task);
  await writeNeighbours(task, "decoder");
  await writeNeighbours(task, "encoder");
}

/** Runs the LM and the SAE over the windows that no shard covers yet. */
async function readCorpus(task: IndexTask): Promise<void> {
  const { files, lm, sae, corpus, cuts, report } = task;
  const { windows } = corpus;
  const { d_sae, d_in, hook } = sae.config;
  // All rows are read: some architectures need whole sequences. What does not count is left out behind the SAE.
  const source = new LmSource(lm, windows, [hook], { skipPositions: 0, skipSpecial: false });
  const builder = new PostingsBuilder(d_sae, cuts.shardEntries);
  const begun = files.shards.at(-1)?.windows[1] ?? 0;
  const started = performance.now();
  let first = begun;
  const flush = (to: number): void => {
    const file = `postings-${String(files.shards.length).padStart(5, "0")}.safetensors`;
    const { entries } = builder;
    builder.write(files.path(file));
    const tokens = [windows.start(first), windows.start(to)] as const;
    files.addShard({ file, entries, windows: [first, to], tokens });
    first = to;
  };
  for (let window = begun; window < windows.count; window++) {
    const [rows] = (await source.read(window, report.signal)).values();
    const x = tensor("float32", [rows!.length / d_in, d_in], rows as Float32Array<ArrayBuffer>);
    const { offsets, latents, acts } = await sae.encode(x, report.signal);
    if (!builder.hasRoom(latents.length) && builder.entries > 0) flush(window);
    const start = windows.start(window);
    for (let at = 0; at < offsets.length - 1; at++) {
      if (!corpus.counts(at, windows.idAt(start + at))) continue;
      const range = [offsets[at]!, offsets[at + 1]!] as const;
      builder.push(start + at, latents.subarray(...range), acts.subarray(...range));
    }
    const done = windows.start(window + 1);
    const speed = ((done - windows.start(begun)) * 1000) / (performance.now() - started);
    report.onProgress("reading", done / windows.tokens, `${Math.round(speed)} tokens/s`);
  }
  if (first < windows.count) flush(windows.count);
}

/** Contexts, histograms and tokens; begins again if it was not finished, because tokens are gathered over all latents. */
async function writeContexts(task: IndexTask, postings: Postings): Promise<void> {
  const { files, corpus, sizes, cuts, report } = task;
  if (files.file("summary")) return;
  files.dropParts("contexts");
  const d_sae = postings.counts.length;
  const tokens = new TokenLatents(corpus.frequency.length, sizes.list);
  const summary: SummaryArrays = {
    count: new Uint32Array(d_sae),
    max: new Float32Array(d_sae),
    mean: new Float32Array(d_sae),
  };
  const contexts = new LatentContexts(corpus, sizes, { tokens, summary });
  for (let from = 0; from < d_sae;) {
    const most = Math.min(d_sae, from + cuts.partLatents);
    const to = stretchEnd(postings.counts, from, most, cuts.partEntries);
    const found = postings.ofLatents(from, to);
    const arrays = emptyPart("contexts", sizes, to - from);
    for (let at = 0; at < to - from; at++) {
      contexts.fill(arrays, found, at);
      if (at % 64 === 0) await pause(report, "contexts", (from + at) / d_sae);
    }
    addPart(task, "contexts", [from, to], arrays);
    from = to;
  }
  files.addFile(
    "token-latents",
    write(task, "token-latents", {
      latent: tensor("int32", [corpus.frequency.length, sizes.list], tokens.latents),
      score: tensor("float32", [corpus.frequency.length, sizes.list], tokens.scores),
    }),
  );
  files.addFile(
    "summary",
    write(task, "summary", {
      count: tensor("uint32", [d_sae], summary.count),
      max: tensor("float32", [d_sae], summary.max),
      mean: tensor("float32", [d_sae], summary.mean),
    }),
  );
}

async function writeCoactive(task: IndexTask, postings: Postings): Promise<void> {
  const { files, corpus, sizes, cuts, report } = task;
  const d_sae = postings.counts.length;
  for (let from = nextLatent(files.parts("coactive")); from < d_sae;) {
    const to = Math.min(d_sae, from + cuts.coactiveLatents);
    const arrays = emptyPart("coactive", sizes, to - from);
    await fillCoactive(arrays, [from, to], {
      postings,
      sizes,
      counted: corpus.counted,
      entries: cuts.partEntries,
      pause: () => pause(report, "co-activation", from / d_sae),
    });
    addPart(task, "coactive", [from, to], arrays);
    from = to;
  }
}

/**
 * Largest and smallest logits of each decoder row through the final norm's weight and the unembedding, as `logitLens` has
 * it: no bias, no division by the norm, no soft cap.
 */
async function writeEffects(task: IndexTask): Promise<void> {
  const { lm, sae, files, sizes, report } = task;
  const { d_sae, hook, hookOut } = sae.config;
  if (!writesToResidual(parseHookPoint(hookOut ?? hook))) return;
  const k = sizes.list;
  for (let from = nextLatent(files.parts("effects")); from < d_sae;) {
    const to = Math.min(d_sae, from + listPart);
    const arrays = emptyPart("effects", sizes, to - from);
    for (let first = from; first < to; first += effectsBatch) {
      const last = Math.min(to, first + effectsBatch);
      const rows = sae.decoderRows(Array.from({ length: last - first }, (_, i) => first + i));
      for (const [name, sign] of [
        ["top", 1],
        ["bottom", -1],
      ] as const) {
        const signed = rows.map((x) => x * sign);
        const found = await logitLens(lm, signed, k, report.signal);
        for (let row = 0; row < last - first; row++) {
          const at = (first - from + row) * k;
          for (let i = 0; i < found.k; i++) {
            arrays[name]![at + i] = found.ids[row * found.k + i]!;
            arrays[`${name}.value`]![at + i] = found.values[row * found.k + i]! * sign;
          }
        }
      }
      report.onProgress("logits", last / d_sae);
    }
    addPart(task, "effects", [from, to], arrays);
    from = to;
  }
}

/** Nearest latents by rows of W_dec or columns of W_enc; an SAE without a matrix of its own to encode with has no latter. */
async function writeNeighbours(task: IndexTask, facet: "decoder" | "encoder"): Promise<void> {
  const { device, description, files, sizes, report } = task;
  const parameter = description.parameters.get(facet === "decoder" ? "W_dec" : "W_enc");
  const { d_sae } = description.config;
  let from = nextLatent(files.parts(facet));
  if (!parameter || from === d_sae) return;
  const unit = unitVectors(parameter, facet === "decoder" ? "rows" : "columns");
  const begin = from;
  let to = Math.min(d_sae, from + listPart);
  let arrays = emptyPart(facet, sizes, to - from);
  const k = sizes.list;
  for await (const found of nearestRows(device, unit, { k, from: begin }, report.signal)) {
    // Parts are whole numbers of tiles, but for the last.
    arrays["latent"]!.set(found.indices, (found.from - from) * k);
    arrays["latent.value"]!.set(found.cosines, (found.from - from) * k);
    report.onProgress(`neighbours by ${facet}`, found.to / d_sae);
    if (found.to < to) continue;
    addPart(task, facet, [from, to], arrays);
    from = to;
    to = Math.min(d_sae, from + listPart);
    arrays = emptyPart(facet, sizes, to - from);
  }
}

function nextLatent(parts: readonly IndexPart[]): number {
  return parts.at(-1)?.to ?? 0;
}

function addPart(
  { files, sizes }: IndexTask,
  facet: Facet,
  range: readonly [number, number],
  arrays: Parameters<typeof writePart>[3],
): void {
  const number = files.parts(facet).length;
  files.addPart(facet, writePart(files.folder, { facet, number, sizes }, range, arrays));
}

function write({ files }: IndexTask, name: string, arrays: Readonly<Record<string, Tensor>>) {
  return writeArrays(files.folder, `${name}.safetensors`, new Map(Object.entries(arrays)));
}

/** Lets messages and signals in. */
async function pause(
  { signal, onProgress }: DataReport,
  phase: string,
  share: number,
): Promise<void> {
  onProgress(phase, share);
  await new Promise(setImmediate);
  signal.throwIfAborted();
}
