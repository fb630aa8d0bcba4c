/**
 * The language models and SAEs that documents use: what to load for a document, what the reader has loaded in
 * its present life, and what is known about each SAE (labels, self-check, largest activations).
 */
import type { ContextReading, LmInfo, SaeInfo, SelfCheck } from "../protocol/reader.ts";
import type { SaeEntry } from "../text/latents-file.ts";
import type { ReaderProcess } from "./reader-process.ts";

/** What a document asks for. */
export interface Choice {
  readonly lm: string;
  readonly saes: readonly SaeEntry[];
}

/** What a document gets. */
export interface ModelSet {
  readonly lm: LmInfo;
  /** SAEs that read text. */
  readonly saes: readonly SaeInfo[];
  /** Meta-SAEs whose parent is among `saes` or among these. */
  readonly metas: readonly SaeInfo[];
}

/** Loads on demand and remembers; what is remembered ends with the reader's life. */
export class Models {
  readonly #reader: ReaderProcess;
  readonly #pickles: boolean;
  #generation = 0;
  readonly #sets = new Map<string, Promise<ModelSet>>();
  readonly #ready = new Map<string, ModelSet>();
  readonly #selfChecks = new Map<string, SelfCheck>();
  readonly #checking = new Set<string>();
  readonly #maxActivations = new Map<string, Float32Array>();

  /** `pickles`: whether SAEs in Python's pickle format are read. */
  constructor(reader: ReaderProcess, { pickles }: { pickles: boolean }) {
    this.#reader = reader;
    this.#pickles = pickles;
  }

  /** Loads what a choice names, once per life of the reader. */
  load(choice: Choice): Promise<ModelSet> {
    this.#forgetDeadReader();
    const key = JSON.stringify(choice);
    const known = this.#sets.get(key);
    if (known) return known;
    const loading = this.#load(choice);
    this.#sets.set(key, loading);
    loading.then(
      (set) => this.#ready.set(key, set),
      () => {
        if (this.#sets.get(key) === loading) this.#sets.delete(key);
      },
    );
    return loading;
  }

  /** The set of a choice if it is loaded now. */
  ready(choice: Choice): ModelSet | undefined {
    this.#forgetDeadReader();
    return this.#ready.get(JSON.stringify(choice));
  }

  /** Every set that is loaded now. */
  allReady(): readonly ModelSet[] {
    this.#forgetDeadReader();
    return [...this.#ready.values()];
  }

  /** The self-check of an SAE if it is known. */
  selfCheck(sae: string): SelfCheck | undefined {
    return this.#selfChecks.get(sae);
  }

  /** Starts the self-checks of a set's SAEs that are not known yet; `onDone` after each. */
  async checkAll(
    set: ModelSet,
    onDone: () => void,
    onFailed: (error: unknown) => void,
  ): Promise<void> {
    for (const { id } of [...set.saes, ...set.metas]) {
      if (this.#selfChecks.has(id) || this.#checking.has(id)) continue;
      this.#checking.add(id);
      try {
        const check = await this.#reader.call("selfCheck", { sae: id, lm: set.lm.id });
        this.#selfChecks.set(id, check);
        this.#raiseMax(id, check.maxActivation);
        onDone();
      } catch (error) {
        onFailed(error);
      } finally {
        this.#checking.delete(id);
      }
    }
  }

  /** Largest activation seen of a latent, in the sample text and in every document read so far; 0 if never. */
  maxActivation(sae: string, latent: number): number {
    return this.#maxActivations.get(sae)?.[latent] ?? 0;
  }

  /** Notes activations of a reading; position 0 does not count, its activations are of another size. */
  noteActivations(sae: SaeInfo, reading: ContextReading): void {
    const row = reading.saes[sae.id];
    if (!row) return;
    const max = this.#maxActivations.get(sae.id) ?? new Float32Array(sae.d_sae);
    this.#maxActivations.set(sae.id, max);
    for (let token = 0; token < reading.position.length; token++) {
      if (reading.position[token] === 0) continue;
      for (let at = row.offsets[token] ?? 0; at < (row.offsets[token + 1] ?? 0); at++) {
        const latent = row.latents[at] as number;
        const act = Math.abs(row.acts[at] as number);
        if (act > (max[latent] as number)) max[latent] = act;
      }
    }
  }

  #forgetDeadReader(): void {
    if (this.#generation === this.#reader.generation) return;
    this.#generation = this.#reader.generation;
    this.#sets.clear();
    this.#ready.clear();
  }

  #raiseMax(sae: string, seen: Float32Array): void {
    const max = this.#maxActivations.get(sae) ?? new Float32Array(seen.length);
    this.#maxActivations.set(sae, max);
    for (let latent = 0; latent < seen.length; latent++)
      max[latent] = Math.max(max[latent] as number, seen[latent] as number);
  }

  async #load(choice: Choice): Promise<ModelSet> {
    const lm = await this.#reader.call("loadLm", { path: choice.lm });
    const infos: SaeInfo[] = [];
    for (const { path, name, facts } of choice.saes)
      infos.push(
        await this.#reader.call("loadSae", {
          path,
          lm: lm.id,
          pickles: this.#pickles,
          ...(name ? { id: name } : {}),
          ...(facts ? { facts } : {}),
        }),
      );
    const saes = infos.filter((info) => !info.metaOf);
    // A meta-SAE may itself have one.
    const used = new Set(saes.map(({ id }) => id));
    for (let before = -1; before !== used.size;) {
      before = used.size;
      for (const { id, metaOf } of infos)
        if (metaOf !== undefined && used.has(metaOf)) used.add(id);
    }
    const metas = infos.filter((info) => info.metaOf !== undefined && used.has(info.id));
    return { lm, saes, metas };
  }
}
