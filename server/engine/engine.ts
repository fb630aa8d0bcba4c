/**
 * The engine room: the reader's methods over text, models and SAEs, and the verbs of the command line. It owns
 * what is loaded on one device. It knows nothing of documents, editors or the server that asks;
 * start reading at `Engine`.
 */
import { generate } from "../lm/generate.ts";
import { writesToResidual } from "../lm/hook-points.ts";
import { loadLm } from "../lm/load.ts";
import { logitLens } from "../lm/logit-lens.ts";
import type { Precision } from "../lm/precision.ts";
import type { Handlers } from "../protocol/rpc.ts";
import type {
  AnalyseParams,
  LmInfo,
  ReaderInfo,
  ReaderMethods,
  ReaderSettings,
  SaeInfo,
} from "../protocol/reader.ts";
import { type Device, openDevice, probeDevices, runtimeVersion } from "../runtime/device.ts";
import type { ReaderProgress } from "../protocol/interventions.ts";
import type { DeviceReport } from "../protocol/reader.ts";
import { type CausalState, readAttribution } from "./attribution.ts";
import { Decompositions } from "./absorption/decompositions.ts";
import { LiveTasks } from "./absorption/live-tasks.ts";
import { type ComparisonState, readComparison, readCounterfactual } from "./comparison.ts";
import { DecoderAnalyses } from "./decoder-analyses.ts";
import { DeviceLock } from "./device-lock.ts";
import { readAndFind } from "./find-latents.ts";
import { KeptGradients } from "./kept-gradients.ts";
import { Loaded } from "./loaded.ts";
import { modelPath, saeIdOf, saePath } from "./names.ts";
import { openNamedSae } from "./open-sae.ts";
import { readPredictions } from "./predictions.ts";
import { readContext } from "./read-context.ts";
import { SelfChecks } from "./self-checks.ts";
import { readSteering } from "./steering.ts";
import { StreamCache } from "./streams.ts";

/** Share of the memory budget that KV caches and kept residuals may take, and the most of it. */
const streamShare = 0.25;
const maxStreamBytes = 512 * 2 ** 20;

/** The methods of a reader. Everything that touches the device takes turns through one lock. */
export class Engine implements Handlers<ReaderMethods> {
  readonly loaded: Loaded = new Loaded();
  /** Hears how far calls that asked for it are. */
  onProgress: (progress: ReaderProgress) => void = () => {};
  readonly #device: Device;
  readonly #reports: readonly DeviceReport[];
  readonly #settings: ReaderSettings;
  readonly #lock = new DeviceLock();
  readonly #gradients = new KeptGradients();
  readonly #streams: StreamCache;
  readonly #selfChecks: SelfChecks;
  readonly #absorption: LiveTasks;
  readonly #decoders: DecoderAnalyses;
  readonly #decompositions: Decompositions;

  private constructor(device: Device, reports: readonly DeviceReport[], settings: ReaderSettings) {
    this.#device = device;
    this.#reports = reports;
    this.#settings = settings;
    this.#streams = new StreamCache(Math.min(maxStreamBytes, settings.memoryBudget * streamShare));
    this.#selfChecks = new SelfChecks(settings);
    this.#absorption = new LiveTasks(settings);
    const { loaded } = this;
    this.#decoders = new DecoderAnalyses({ ...settings, loaded, device, lock: this.#lock });
    this.#decompositions = new Decompositions({ ...settings, loaded, lock: this.#lock });
  }

  /** Opens the device that the settings ask for. */
  static async open(settings: ReaderSettings): Promise<Engine> {
    const { device, reports } = await openDevice(settings);
    return new Engine(device, reports, settings);
  }

  info(): ReaderInfo {
    return {
      device: this.#device.name,
      devices: this.#reports,
      runtimeVersion,
      threads: this.#device.threads,
      memory: this.#device.ledger.status(),
    };
  }

  /** Tries every device of this platform; the one in use stays in use. */
  async probe(): Promise<ReaderInfo> {
    const settings = this.#settings;
    const reports = await this.#lock.run(() => probeDevices(settings));
    const chosen = this.#device.name;
    return {
      ...this.info(),
      devices: reports.map((it) => ({ ...it, chosen: it.device === chosen })),
    };
  }

  /** `precision`: float64 rounds no activation on the way, on the CPU and with twice the memory. */
  async loadLm({ path, precision }: { path: string; precision?: Precision }): Promise<LmInfo> {
    return this.#lock.run(async () => {
      const folder = modelPath(path);
      const known = [...this.loaded.lms.values()].find((it) => it.path === folder);
      const lm = known ?? (await loadLm(folder, this.#device, precision ? { precision } : {}));
      const other = this.loaded.lms.get(lm.id);
      if (other && other !== lm) {
        this.#streams.drop({ lm: lm.id });
        await this.#gradients.drop(other);
        await other.release();
      }
      this.loaded.lms.set(lm.id, lm);
      return lm.info;
    });
  }

  async loadSae(params: {
    path: string;
    id?: string;
    lm?: string;
    facts?: Readonly<Record<string, string | number | boolean>>;
    pickles?: boolean;
  }): Promise<SaeInfo> {
    return this.#lock.run(async () => {
      const path = saePath(params.path);
      const id = params.id ?? saeIdOf(path, this.loaded);
      const known = this.loaded.saes.get(id);
      if (known?.info.path === path) return known.info;
      const place = { loaded: this.loaded, device: this.#device };
      const entry = await openNamedSae({ path, id }, params, place);
      this.loaded.saes.set(id, entry);
      return entry.info;
    });
  }

  async unload({ id }: { id: string }): Promise<null> {
    // Background work that gave way to a hover still needs what it works on.
    const unload = async () => {
      const lm = this.loaded.lms.get(id);
      this.#streams.drop({ lm: id });
      this.loaded.lms.delete(id);
      if (lm) await this.#gradients.drop(lm);
      await lm?.release();
      const sae = this.loaded.saes.get(id);
      this.loaded.saes.delete(id);
      this.#streams.forgetSae(id);
      await sae?.sae.release();
      return null;
    };
    return this.#lock.run(unload, { background: true });
  }

  selfCheck({ sae, lm }: { sae: string; lm: string }, signal?: AbortSignal) {
    return this.#selfChecks.check(this.loaded, sae, lm, (job) =>
      this.#lock.run(job, { background: true, signal }),
    );
  }

  async analyse(params: AnalyseParams, signal?: AbortSignal) {
    const state = {
      lmId: params.lm,
      lm: this.loaded.lm(params.lm),
      saes: params.saes.map((id) => this.loaded.sae(id)),
      streams: this.#streams,
      live: this.#absorption,
    };
    return this.#lock.run(() => readContext(state, params, signal), { signal });
  }

  /** Lets hovers pass between two examples. */
  findLatents(
    { lm, sae, progress, ...params }: Parameters<ReaderMethods["findLatents"]>[0],
    signal?: AbortSignal,
  ): Promise<ReturnType<ReaderMethods["findLatents"]>> {
    const models = { lmId: lm, lm: this.loaded.lm(lm), sae: this.loaded.sae(sae) };
    return readAndFind({ ...models, streams: this.#streams }, params, {
      step: (job) => this.#lock.run(job, { background: true, signal }),
      onProgress: (text, fraction) => {
        if (progress !== undefined) this.onProgress({ progress, text, fraction });
      },
      signal,
    });
  }

  prepareAbsorption(
    params: Parameters<ReaderMethods["prepareAbsorption"]>[0],
    signal?: AbortSignal,
  ): Promise<ReturnType<ReaderMethods["prepareAbsorption"]>> {
    const parts = { lm: this.loaded.lm(params.lm), sae: this.loaded.sae(params.sae) };
    return this.#absorption.prepare(parts, params, {
      step: (job) => this.#lock.run(job, { background: true, signal }),
      signal,
    });
  }

  async causalAbsorption(
    params: Parameters<ReaderMethods["causalAbsorption"]>[0],
    signal?: AbortSignal,
  ): Promise<ReturnType<ReaderMethods["causalAbsorption"]>> {
    const lm = this.loaded.lm(params.lm);
    const parts = { lm, sae: this.loaded.sae(params.sae), gradients: this.#gradients.of(lm) };
    const report = await this.#absorption.judgeCausally(parts, params, {
      step: (job) => this.#lock.run(job, { background: true, signal }),
      pause: () => this.#lock.giveWay(signal),
      signal,
    });
    return { report };
  }

  absorptionProgress(): { share: number; text: string } {
    return this.#absorption.progress();
  }

  async predictions(
    params: Parameters<ReaderMethods["predictions"]>[0],
    signal?: AbortSignal,
  ): Promise<ReturnType<ReaderMethods["predictions"]>> {
    const state = { lmId: params.lm, lm: this.loaded.lm(params.lm), streams: this.#streams };
    return this.#lock.run(() => readPredictions(state, params, signal), { signal });
  }

  async logitEffects(
    { lm, sae, latents, k }: Parameters<ReaderMethods["logitEffects"]>[0],
    signal?: AbortSignal,
  ): Promise<ReturnType<ReaderMethods["logitEffects"]>> {
    const { hook, hookOut, sae: weights } = this.loaded.sae(sae);
    const model = this.loaded.lm(lm);
    // Only directions that are added to the residual stream have an effect on logits of their own.
    if (this.loaded.sae(sae).info.metaOf || !writesToResidual(hookOut ?? hook))
      return Promise.resolve({ texts: latents.map(() => []), values: latents.map(() => []) });
    return this.#lock.run(
      async () => {
        const { ids, values } = await logitLens(model, weights.decoderRows(latents), k, signal);
        const rows = latents.map((_, row) => row * k);
        return {
          texts: rows.map((at) =>
            Array.from(ids.subarray(at, at + k), (id) => model.tokenizer.tokenText(id)),
          ),
          values: rows.map((at) => Array.from(values.subarray(at, at + k))),
        };
      },
      { signal },
    );
  }

  async generate(
    params: Parameters<ReaderMethods["generate"]>[0],
    signal?: AbortSignal,
  ): Promise<ReturnType<ReaderMethods["generate"]>> {
    const lm = this.loaded.lm(params.lm);
    return this.#lock.run(
      async () => {
        const { lm: _, text, ...options } = params;
        const encoded = lm.tokenizer.encode(text).ids;
        const bos = lm.tokenizer.addsBos ? lm.tokenizer.bosId : undefined;
        const prompt = bos === undefined ? encoded : Int32Array.of(bos, ...encoded);
        const ids = await generate(lm, { ...options, ids: prompt, ...(signal ? { signal } : {}) });
        return { ids, text: lm.tokenizer.decode(ids) };
      },
      { signal },
    );
  }

  metaLatents(...asked: Parameters<DecoderAnalyses["metaLatents"]>) {
    return this.#decoders.metaLatents(...asked);
  }

  metaSummary(...asked: Parameters<DecoderAnalyses["metaSummary"]>) {
    return this.#decoders.metaSummary(...asked);
  }

  metaMembers(...asked: Parameters<DecoderAnalyses["metaMembers"]>) {
    return this.#decoders.metaMembers(...asked);
  }

  metaComparison(...asked: Parameters<DecoderAnalyses["metaComparison"]>) {
    return this.#decoders.metaComparison(...asked);
  }

  relation(...asked: Parameters<DecoderAnalyses["relation"]>) {
    return this.#decoders.relation(...asked);
  }

  levels(...asked: Parameters<Decompositions["levels"]>) {
    return this.#decompositions.levels(...asked);
  }

  repair(...asked: Parameters<Decompositions["repair"]>) {
    return this.#decompositions.repair(...asked);
  }

  decompositionProgress() {
    return this.#decompositions.decompositionProgress();
  }

  async attribute(
    params: Parameters<ReaderMethods["attribute"]>[0],
    signal?: AbortSignal,
  ): Promise<ReturnType<ReaderMethods["attribute"]>> {
    const state = this.#causalState(params, signal);
    const more = { sae: this.loaded.sae(params.sae), gradients: this.#gradients.of(state.lm) };
    const work = () => readAttribution({ ...state, ...more }, params);
    return this.#lock.run(work, { background: true, signal });
  }

  async steer(
    params: Parameters<ReaderMethods["steer"]>[0],
    signal?: AbortSignal,
  ): Promise<ReturnType<ReaderMethods["steer"]>> {
    const state = this.#causalState(params, signal);
    return this.#lock.run(() => readSteering(state, params), { background: true, signal });
  }

  async compare(params: Parameters<ReaderMethods["compare"]>[0], signal?: AbortSignal) {
    const state = this.#comparisonState(params, signal);
    return this.#lock.run(() => readComparison(state, params), { background: true, signal });
  }

  async counterfactual(
    params: Parameters<ReaderMethods["counterfactual"]>[0],
    signal?: AbortSignal,
  ) {
    const state = this.#comparisonState(params, signal);
    return this.#lock.run(() => readCounterfactual(state, params), { background: true, signal });
  }

  stitch(...asked: Parameters<DecoderAnalyses["stitch"]>) {
    return this.#decoders.stitch(...asked);
  }

  stitchProgress() {
    return this.#decoders.stitchProgress();
  }

  writeStitched(...asked: Parameters<DecoderAnalyses["writeStitched"]>) {
    return this.#decoders.writeStitched(...asked);
  }

  /** Takes its turn: a stream that is being read cannot be forgotten. */
  dropStreams({ prefix }: { prefix: string }): Promise<null> {
    return this.#lock.run(async () => {
      this.#streams.drop({ prefix });
      return null;
    });
  }

  /** What a question about causes is put to; it lets hovers pass between its pieces and tells how far it is. */
  #causalState(
    { lm, sae, meta, progress }: { lm: string; sae?: string; meta?: string; progress?: string },
    signal: AbortSignal | undefined,
  ): CausalState {
    return {
      lm: this.loaded.lm(lm),
      sae: sae === undefined ? undefined : this.loaded.sae(sae),
      meta: meta === undefined ? undefined : this.loaded.sae(meta),
      signal,
      onStep: async (text, fraction) => {
        if (progress !== undefined) this.onProgress({ progress, text, fraction });
        await this.#lock.giveWay(signal);
      },
    };
  }

  #comparisonState(
    params: { lm: string; sae: string; progress?: string },
    signal: AbortSignal | undefined,
  ): ComparisonState {
    const state = this.#causalState(params, signal);
    return {
      ...state,
      lmId: params.lm,
      sae: this.loaded.sae(params.sae),
      streams: this.#streams,
    };
  }

  /** Frees everything. */
  async close(): Promise<void> {
    for (const id of [...this.loaded.saes.keys(), ...this.loaded.lms.keys()])
      await this.unload({ id });
    await this.#device.close();
  }
}
