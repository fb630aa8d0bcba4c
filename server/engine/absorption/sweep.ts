/**
 * Absorption of many SAEs of one model on one task. What has been measured lies in a folder: a report for each SAE, and
 * `sweep.json`, which is written anew after each. A later run with the same model, task, options and SAE finds the SAE there
 * and goes on with the next; words and probes are shared over SAEs at one hook point by the cache.
 */
import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import { isCancelled, UserError } from "../../base/errors.ts";
import { Cache } from "../../files/cache.ts";
import { exists, readJson, readText, writeFileAtomic } from "../../files/disk.ts";
import { hashWeights } from "../../files/locations.ts";
import type { AbsorptionReport } from "../../protocol/absorption.ts";
import { type AbsorptionSweep, sweepFile, type SweepRow } from "../../protocol/absorption-sweep.ts";
import { saeId } from "../../sae/sae-id.ts";
import type { Engine } from "../engine.ts";
import { modelPath, saePath } from "../names.ts";
import { type CorpusCounts, corpusCounts, corpusKey } from "./corpus-counts.ts";
import { withPaperRule } from "./causal.ts";
import { type AbsorptionChoice, measure, readTask } from "./run.ts";
import { sweepRow } from "./sweep-row.ts";
import type { Work } from "./word-plan.ts";

/** What a sweep is given. */
export interface SweepPlan {
  readonly lm: string;
  readonly saes: readonly string[];
  readonly choice: AbsorptionChoice;
  /** Text files in which tokens are counted. */
  readonly corpus: readonly string[];
  /** Where results are kept; without it nothing is written. */
  readonly folder?: string | undefined;
  readonly cacheFolder: string;
  readonly work: Work;
  /** Hears of every SAE as soon as it is there. */
  readonly onReport: (report: AbsorptionReport, isRecalled: boolean) => void;
}

/** What comes of it. */
export interface SweepResult {
  readonly sweep: AbsorptionSweep;
  readonly reports: readonly AbsorptionReport[];
}

/** Changes whenever what is kept in a folder would come out otherwise. */
const version = 1;

/** What a report's file in the folder says beside the report. */
interface Kept {
  readonly key: string;
  readonly corpus: AbsorptionSweep["corpus"];
  readonly row: SweepRow;
}

/** A measured SAE. */
interface Finished extends Kept {
  readonly report: AbsorptionReport;
}

/** An SAE with the names that it has in a sweep. */
interface Place {
  readonly id: string;
  readonly path: string;
  readonly file: string;
}

/** What all SAEs share. */
interface Model {
  readonly id: string;
  readonly corpus: CorpusCounts;
}

/**
 * Runs a sweep. An SAE that cannot be measured is noted and does not end it, unless it is the only one; cancelling does, and leaves
 * what is finished.
 */
export async function runSweep(engine: Engine, plan: SweepPlan): Promise<SweepResult> {
  const { work, folder } = plan;
  const places = placesOf(plan.saes);
  const keyOf = await keysOf(plan);
  let model: Promise<Model> | undefined;
  const finished: Finished[] = [];
  const failed: { sae: string; problem: string }[] = [];
  for (const [at, place] of places.entries()) {
    work.signal?.throwIfAborted();
    const onProgress: Work["onProgress"] = (text, share) =>
      work.onProgress(
        places.length === 1 ? text : `SAE ${at + 1} of ${places.length}: ${text}`,
        (at + share) / places.length,
      );
    try {
      const key = keyOf(place);
      const before = folder === undefined ? undefined : recalled(folder, place, key);
      const inTurn = { ...plan, work: { ...work, onProgress } };
      model ??= before ? undefined : openModel(engine, inTurn);
      const found = before ?? { key, ...(await measureOne(engine, place, inTurn, await model!)) };
      finished.push(found);
      plan.onReport(found.report, before !== undefined);
      if (folder !== undefined && !before) {
        const { report, ...kept } = found;
        write(folder, place.file, { ...report, sweep: kept });
      }
    } catch (error) {
      if (isCancelled(error) || !(error instanceof UserError) || places.length === 1) throw error;
      failed.push({ sae: place.id, problem: error.message });
    }
    const waiting = places.slice(at + 1).map((it) => it.id);
    if (folder !== undefined)
      write(folder, sweepFile, await described(plan, { finished, failed, waiting }));
  }
  return {
    sweep: await described(plan, { finished, failed, waiting: [] }),
    reports: finished.map((it) => it.report),
  };
}

async function openModel(
  engine: Engine,
  { lm, corpus, cacheFolder, work }: SweepPlan,
): Promise<Model> {
  const { id } = await engine.loadLm({ path: lm });
  const cache = new Cache(cacheFolder, "absorption-words");
  return { id, corpus: await corpusCounts(engine.loaded.lm(id), corpus, { ...work, cache }) };
}

async function measureOne(
  engine: Engine,
  { id, path }: Place,
  { choice, cacheFolder, work }: SweepPlan,
  { id: lm, corpus }: Model,
): Promise<Omit<Finished, "key">> {
  await engine.loadSae({ path, lm, id });
  try {
    const parts = { lm: engine.loaded.lm(lm), sae: engine.loaded.sae(id) };
    const measured = await measure(parts, choice, { ...work, cacheFolder });
    const words = choice.paperWords;
    const report =
      words === undefined
        ? measured.report
        : await withPaperRule(measured, { sae: parts.sae, words, cacheFolder }, work);
    const row = sweepRow(report, parts.sae.info, corpus);
    return { report, row, corpus: { files: corpus.files, tokens: corpus.tokens } };
  } finally {
    await engine.unload({ id });
  }
}

/** The SAEs, each once, with ids that no two share. */
function placesOf(saes: readonly string[]): Place[] {
  const paths = [...new Set(saes.map((it) => saePath(it)))];
  const taken = new Set([sweepFile]);
  return paths.map((path) => {
    const id = saeId(
      resolve(path),
      paths.filter((it) => it !== path).map((it) => resolve(it)),
    );
    const name = id.replaceAll(/[^\w.-]+/g, "-");
    let file = `${name}.json`;
    for (let more = 2; taken.has(file); more++) file = `${name}-${more}.json`;
    taken.add(file);
    return { id, path, file };
  });
}

/** A key for everything that an SAE's figures hang on. */
async function keysOf({ lm, choice, corpus }: SweepPlan): Promise<(place: Place) => string> {
  const { source } = await readTask(choice.labels);
  const texts = choice.setting === "text" ? choice.texts.map(readText) : [];
  const facts = [version, hashWeights(modelPath(lm)), source, { ...choice, labels: "", texts }];
  const common = JSON.stringify([...facts, corpusKey(corpus)]);
  return ({ path }) =>
    createHash("sha256")
      .update(`${common} ${hashWeights(path)}`)
      .digest("hex");
}

/** What an earlier run left of an SAE; nothing if any of it was measured otherwise. */
function recalled(folder: string, { id, file }: Place, key: string): Finished | undefined {
  const path = join(resolve(folder), file);
  if (!exists(path)) return undefined;
  const { sweep: kept, ...report } = readJson(path) as AbsorptionReport & { sweep?: Kept };
  return kept?.key === key && report.sae === id ? { ...kept, report } : undefined;
}

async function described(
  { lm, choice }: SweepPlan,
  {
    finished,
    ...rest
  }: {
    finished: readonly Finished[];
    failed: AbsorptionSweep["failed"];
    waiting: AbsorptionSweep["waiting"];
  },
): Promise<AbsorptionSweep> {
  const { setting, probe, selection, judge, seed, labels } = choice;
  const [first] = finished;
  return {
    schemaVersion: 1,
    kind: "absorption-sweep",
    lm: first?.report.lm ?? lm,
    task: (await readTask(labels)).name,
    setting,
    probe,
    selection,
    judge,
    seed,
    corpus: first?.corpus ?? { files: [], tokens: 0 },
    rows: finished.map((it) => it.row),
    ...rest,
  };
}

function write(folder: string, file: string, value: unknown): void {
  writeFileAtomic(join(resolve(folder), file), JSON.stringify(value, undefined, 1));
}
