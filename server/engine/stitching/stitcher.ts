/** The reader's answers about stitching: measures pairs, keeps the last measurement, writes stitched SAEs. */
import type { Cosines } from "../../analysis/cosines.ts";
import type { Pace } from "../../analysis/pace.ts";
import { Composition } from "../../analysis/stitching/composition.ts";
import type {
  StitchChoice,
  StitchedSae,
  StitchParams,
  StitchReport,
} from "../../protocol/stitching.ts";
import type { Device } from "../../runtime/device.ts";
import type { DeviceLock } from "../device-lock.ts";
import type { Loaded, LoadedSae } from "../loaded.ts";
import { cannotTake, notAPair } from "./errors.ts";
import { Measurement } from "./measurement.ts";
import { sampleIds } from "./sample.ts";
import { writeStitched } from "./write.ts";

/** What it stands on. */
export interface StitcherParts {
  readonly loaded: Loaded;
  readonly lock: DeviceLock;
  readonly device: Device;
  readonly sampleText: string;
  relation(wide: LoadedSae, narrow: LoadedSae, signal?: AbortSignal): Promise<Cosines>;
}

/** One measurement at a time is kept: a choice of latents follows what was just looked at. */
export class Stitcher {
  readonly #parts: StitcherParts;
  #kept: { key: string; of: readonly unknown[]; measurement: Promise<Measurement> } | undefined;
  #progress = { share: 1, text: "" };

  constructor(parts: StitcherParts) {
    this.#parts = parts;
  }

  async stitch(params: StitchParams, signal?: AbortSignal): Promise<StitchReport> {
    const pace = this.#pace(signal);
    try {
      const measurement = await this.#measure(params, signal);
      return await measurement.report(params, pace);
    } finally {
      this.#progress = { share: 1, text: "" };
    }
  }

  stitchProgress(): { share: number; text: string } {
    return this.#progress;
  }

  async writeStitched(
    params: StitchParams & StitchChoice & { folder: string },
    signal?: AbortSignal,
  ): Promise<StitchedSae> {
    const measurement = await this.#measure(params, signal);
    const composition = new Composition(measurement.pair);
    const { narrow, wide } = this.#pair(params);
    apply(composition, measurement, params);
    const fit = await measurement.fit(composition, this.#pace(signal));
    const { folder, insert, swap, rule } = params;
    writeStitched(folder, composition, { narrow, wide, choice: { insert, swap, rule } });
    const { inserted, removed } = composition;
    return { folder, d_sae: composition.origins.length, inserted, removed, fit };
  }

  async #measure(params: StitchParams, signal?: AbortSignal): Promise<Measurement> {
    const { narrow, wide } = this.#pair(params);
    const { loaded, device, sampleText } = this.#parts;
    const lm = loaded.lm(params.lm);
    const files = params.files.length > 0 ? params.files : [sampleText];
    const key = JSON.stringify([narrow.id, wide.id, params.lm, files, params.tokens]);
    const of = [narrow.sae, wide.sae, lm];
    if (this.#kept?.key === key && of.every((it, at) => it === this.#kept?.of[at])) {
      const known = await this.#kept.measurement.catch(() => undefined);
      if (known) return known;
    }
    const start = async (): Promise<Measurement> => {
      const { prependBos } = narrow.info;
      const ids = await sampleIds(lm, { files, tokens: params.tokens, prependBos }, signal);
      const relation = await this.#parts.relation(wide, narrow, signal);
      const pace = this.#pace(signal);
      return Measurement.of({ narrow, wide, lm, device, relation, pace }, ids);
    };
    const measurement = start();
    this.#kept = { key, of, measurement };
    return measurement;
  }

  #pair({ narrow: narrowId, wide: wideId }: Pick<StitchParams, "narrow" | "wide">): {
    narrow: LoadedSae;
    wide: LoadedSae;
  } {
    const narrow = this.#parts.loaded.sae(narrowId);
    const wide = this.#parts.loaded.sae(wideId);
    const [a, b] = [narrow.info, wide.info];
    const reason =
      a.id === b.id
        ? "it is one and the same"
        : a.hook !== b.hook || a.metaOf !== b.metaOf
          ? `they read ${a.hook} and ${b.hook}`
          : a.d_in !== b.d_in
            ? `they read vectors of width ${a.d_in} and ${b.d_in}`
            : a.prependBos !== b.prependBos
              ? "only one of them wants BOS in front"
              : undefined;
    if (reason !== undefined) throw notAPair(narrowId, wideId, reason);
    return { narrow, wide };
  }

  #pace(signal: AbortSignal | undefined): Pace {
    return {
      signal,
      step: async (piece, share) => {
        const result = await this.#parts.lock.run(piece, { background: true, signal });
        if (share !== undefined) this.#progress = { share, text: phaseText(share) };
        return result;
      },
    };
  }
}

/** Makes the composition that a choice asks for. */
function apply(
  composition: Composition,
  measurement: Measurement,
  { insert, swap, rule, wide }: StitchChoice & Pick<StitchParams, "rule" | "wide">,
): void {
  const { d_sae } = measurement.pair.wide;
  const named = [insert, swap].flatMap((it) => (typeof it === "string" ? [] : it));
  for (const latent of named)
    if (!(latent >= 0 && latent < d_sae))
      throw cannotTake(latent, wide, `does not exist: its latents go from 0 to ${d_sae - 1}`);
  if (insert === "novel") composition.insert(measurement.novel(rule));
  else if (insert !== "none") composition.insert(insert);
  if (swap === "everything") composition.swapEverything();
  if (swap === "reconstruction")
    for (const component of measurement.components) composition.swap(component);
  if (typeof swap === "string") return;
  for (const latent of swap) {
    const own = measurement.components.find((it) => it.wide.includes(latent));
    if (!own)
      throw cannotTake(latent, wide, "has no narrow counterpart to be swapped for; insert it");
    composition.swap(own);
  }
}

function phaseText(share: number): string {
  if (share <= 0.2) return "reading the sample";
  if (share <= 0.3) return "encoding with both SAEs";
  return share <= 0.6 ? "walking from narrow to wide" : "inserting single latents";
}
