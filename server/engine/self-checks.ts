/**
 * Self-checks of loaded SAEs on the bundled sample text, kept on disk by the hash of weights and model.
 */
import { Cache } from "../files/cache.ts";
import { hashWeights } from "../files/locations.ts";
import { exists, readText } from "../files/disk.ts";
import { printHookPoint } from "../lm/hook-points.ts";
import type { LanguageModel } from "../lm/language-model.ts";
import { Stream } from "../lm/stream.ts";
import type { SelfCheck } from "../protocol/reader.ts";
import { checkMetaSae, checkSae } from "../sae/self-check.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { noSelfCheckText } from "./errors.ts";
import type { Loaded, LoadedSae } from "./loaded.ts";
import { rowsFrom } from "./read-context.ts";

/** Tokens of one window of the sample; short enough for every model and for a quick turn on the device. */
const windowLength = 128;
const maxTokens = 1024;

export interface SelfCheckSettings {
  readonly cacheFolder: string;
  /** A text file of about a thousand tokens. */
  readonly sampleText: string;
}

/** Runs or recalls self-checks. `step` is called around each piece of device work, so that hovers get in between. */
export class SelfChecks {
  readonly #cache: Cache;
  readonly #settings: SelfCheckSettings;

  constructor(settings: SelfCheckSettings) {
    this.#settings = settings;
    this.#cache = new Cache(settings.cacheFolder, "self-checks");
  }

  /** Figures of an SAE on the sample text, or of a meta-SAE on its parent's decoder rows. */
  async check(
    loaded: Loaded,
    saeId: string,
    lmId: string,
    step: <T>(job: () => Promise<T>) => Promise<T>,
  ): Promise<SelfCheck> {
    const target = loaded.sae(saeId);
    const lm = loaded.lm(lmId);
    const key = `${hashWeights(target.info.path)}-${hashWeights(lm.info.path)}-v1`;
    const kept = this.#cache.readJson(key) as StoredCheck | undefined;
    if (kept) return fromStored(kept);
    const check = target.info.metaOf
      ? await this.#checkMeta(loaded, target, step)
      : await this.#checkOnText(target, lm, step);
    this.#cache.writeJson(key, toStored(check));
    return check;
  }

  async #checkOnText(
    target: LoadedSae,
    lm: LanguageModel,
    step: <T>(job: () => Promise<T>) => Promise<T>,
  ): Promise<SelfCheck> {
    const { sampleText } = this.#settings;
    if (!exists(sampleText)) throw noSelfCheckText(sampleText);
    const ids = lm.tokenizer.encode(readText(sampleText)).ids.subarray(0, maxTokens);
    const bos = target.info.prependBos ? lm.tokenizer.bosId : undefined;
    const windows: { x: Tensor<"float32">; target?: Tensor<"float32"> }[] = [];
    const width = Math.min(windowLength, lm.config.n_ctx);
    for (let at = 0; at < ids.length; at += width - (bos === undefined ? 0 : 1))
      windows.push(await step(() => this.#window(target, lm, ids.subarray(at), bos, width)));
    return checkSae(target.sae, { windows, hasBos: bos !== undefined }, step);
  }

  async #window(
    target: LoadedSae,
    lm: LanguageModel,
    rest: Int32Array,
    bos: number | undefined,
    width: number,
  ): Promise<{ x: Tensor<"float32">; target?: Tensor<"float32"> }> {
    const stream = new Stream(lm);
    try {
      stream.setIds(
        bos === undefined
          ? rest.slice(0, width)
          : Int32Array.of(bos, ...rest.subarray(0, width - 1)),
      );
      const hooks = target.hookOut ? [target.hook, target.hookOut] : [target.hook];
      const kept = await stream.read(hooks);
      const x = rowsFrom(kept.get(printHookPoint(target.hook)), 0);
      if (!target.hookOut) return { x };
      return { x, target: rowsFrom(kept.get(printHookPoint(target.hookOut)), 0) };
    } finally {
      stream.dispose();
    }
  }

  async #checkMeta(
    loaded: Loaded,
    target: LoadedSae,
    step: <T>(job: () => Promise<T>) => Promise<T>,
  ): Promise<SelfCheck> {
    const parent = loaded.sae(target.info.metaOf ?? "");
    return checkMetaSae(target.sae, parent.sae, step);
  }
}

type StoredCheck = Omit<SelfCheck, "denseLatents" | "maxActivation"> & {
  denseLatents: number[];
  maxActivation: string;
};

function toStored(check: SelfCheck): StoredCheck {
  const { buffer, byteOffset, byteLength } = check.maxActivation;
  return {
    ...check,
    denseLatents: [...check.denseLatents],
    maxActivation: Buffer.from(buffer, byteOffset, byteLength).toString("base64"),
  };
}

function fromStored(stored: StoredCheck): SelfCheck {
  const bytes = Uint8Array.from(Buffer.from(stored.maxActivation, "base64"));
  return {
    ...stored,
    denseLatents: Int32Array.from(stored.denseLatents),
    maxActivation: new Float32Array(bytes.buffer),
  };
}
