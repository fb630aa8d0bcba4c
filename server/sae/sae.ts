/**
 * The SAE room: sparse autoencoders of every published layout, read at the door into one orientation, and run.
 * It encodes activations to active latents, decodes them, and checks an SAE against what its files claim. It knows no
 * text and no language model: who asks brings the activations. Training is another room's.
 *
 * Start with `load.ts` (formats, files), then `Sae` here (running), then `self-check.ts`. Each architecture and each
 * format answers for itself in a file of `architectures/` and `formats/`.
 */
import type { Device } from "../runtime/device.ts";
import type { MemoryItem } from "../protocol/reader.ts";
import { sizeOf, type Tensor, tensor } from "../tensor/tensor.ts";
import type { Encoder, OpenParts } from "./architectures/architecture.ts";
import { architectureOf } from "./architectures/index.ts";
import { firstNotFinite } from "./check-finite.ts";
import type { SaeConfig } from "./config.ts";
import { Decoder, inputOfDecoder } from "./decoder.ts";
import { decodeNeedsInput, inputNotFinite, wrongInputShape } from "./errors.ts";
import { openEncoder, rowsPerRun } from "./graph-encoder.ts";
import type { SaeDescription } from "./load.ts";
import { undoFactors } from "./normalization.ts";
import type { Parameter } from "./parameter.ts";
import type { SparseActs } from "./sparse-acts.ts";

export type { SaeConfig } from "./config.ts";
export type { SparseActs } from "./sparse-acts.ts";

/** Loads an SAE's encoder onto a device; its decoder follows at the first `decode`. Refuses what memory cannot hold. */
export async function openSae(description: SaeDescription, device: Device): Promise<Sae> {
  const label = freeLabel(device, `SAE ${description.path}`);
  const items = memoryItems(label, description);
  device.ledger.require([items.encoder, items.decoder]);
  device.ledger.plan(items.encoder.what, items.encoder.bytes);
  try {
    const parts: OpenParts = { label, device, ...description };
    return new Sae(description, parts, { encoder: await openEncoder(parts), items });
  } catch (error) {
    device.ledger.release(items.encoder.what);
    throw error;
  }
}

/** A sparse autoencoder on a device. */
export class Sae {
  readonly config: SaeConfig;
  readonly format: string;
  readonly badges: readonly string[];
  readonly #description: SaeDescription;
  readonly #parts: OpenParts;
  readonly #encoder: Encoder;
  readonly #items: MemoryItems;
  /** With and without x, as far as they were needed. */
  readonly #decoders = new Map<boolean, Promise<Decoder>>();

  constructor(
    description: SaeDescription,
    parts: OpenParts,
    loaded: { encoder: Encoder; items: MemoryItems },
  ) {
    this.config = description.config;
    this.format = description.format;
    this.badges = description.badges;
    this.#description = description;
    this.#parts = parts;
    this.#encoder = loaded.encoder;
    this.#items = loaded.items;
  }

  /**
   * Active latents of each row: all of them, strongest first (by |act|). `[…, d_in] ->` rows in order; heads are
   * flattened (`[tokens, n_heads, d_head]`).
   */
  async encode(x: Tensor<"float32">, signal?: AbortSignal): Promise<SparseActs> {
    return this.#encoder.encode(this.#rows(x), signal);
  }

  /**
   * Reconstruction from all active latents. `-> [tokens, d_out]`
   *
   * With x it is the SAE's whole output (SAELens' `forward`): what bypasses the latents is added, if the architecture
   * has such a path. Without x it is the latents' part alone (`decode`); an SAE that normalises per token needs x.
   */
  async decode(
    acts: SparseActs,
    x?: Tensor<"float32">,
    signal?: AbortSignal,
  ): Promise<Tensor<"float32">> {
    const input = inputOfDecoder(this.#parts);
    if (input === "required" && !x) throw decodeNeedsInput(this.config.normalization.kind);
    const rows = x && input !== "none" ? this.#rows(x) : undefined;
    const decoder = await this.#decoder(rows !== undefined);
    return decoder.decode(acts, rows, signal);
  }

  /** All activations with zeros. `[…, d_in] -> [tokens, d_sae]`; for tests and for printing, never for hovers. */
  async encodeDense(x: Tensor<"float32">, signal?: AbortSignal): Promise<Tensor<"float32">> {
    const { d_sae } = this.config;
    const { offsets, latents, acts } = await this.encode(x, signal);
    const nRows = offsets.length - 1;
    const dense = new Float32Array(nRows * d_sae);
    for (let row = 0; row < nRows; row++)
      for (let entry = offsets[row]!; entry < offsets[row + 1]!; entry++)
        dense[row * d_sae + latents[entry]!] = acts[entry]!;
    return tensor("float32", [nRows, d_sae], dense);
  }

  /**
   * What one unit of activation of each latent adds to the output, norms as they are. `-> [latents, d_out]`
   *
   * Scales that a format folds into the decoder are included; a normalisation that depends on the token is not.
   */
  decoderRows(latents: readonly number[]): Float32Array {
    const { normalization, d_out } = this.config;
    const rows = this.#parameter("W_dec").readRows(latents);
    const scale = this.#description.parameters.get("decodeScale")?.readFloat32();
    const restored = architectureOf(this.config).restoresNorm && normalization.kind === "scale";
    const common = restored ? 1 / normalization.factor : 1;
    if (!scale && common === 1) return rows;
    for (const [index, latent] of latents.entries()) {
      const factor = common * (scale?.[latent] ?? 1);
      for (let at = index * d_out; at < (index + 1) * d_out; at++) rows[at] = rows[at]! * factor;
    }
    return rows;
  }

  /** What it was read from, for those who make another SAE of it. */
  get description(): SaeDescription {
    return this.#description;
  }

  /**
   * What one unit of activation adds to the output at each row of x, as a multiple of `decoderRows`; undefined where that is 1
   * everywhere. `[tokens, d_in] -> [tokens]`
   */
  decoderScales(x: Tensor<"float32">): Float64Array | undefined {
    if (!architectureOf(this.config).restoresNorm) return undefined;
    return undoFactors(this.#rows(x), this.config.normalization);
  }

  /** Frees the device's memory and closes the weight files. */
  async release(): Promise<void> {
    await this.#encoder.release();
    for (const decoder of this.#decoders.values()) await (await decoder).release();
    this.#decoders.clear();
    const { ledger } = this.#parts.device;
    for (const { what } of Object.values(this.#items)) ledger.release(what);
    this.#description.close();
  }

  #decoder(withInput: boolean): Promise<Decoder> {
    const known = this.#decoders.get(withInput);
    if (known) return known;
    const { what, bytes } = this.#items.decoder;
    const { ledger } = this.#parts.device;
    ledger.plan(what, bytes * (this.#decoders.size + 1));
    const decoder = Decoder.open(this.#parts, withInput);
    this.#decoders.set(withInput, decoder);
    decoder.catch(() => {
      this.#decoders.delete(withInput);
      ledger.release(what);
    });
    return decoder;
  }

  #parameter(name: string): Parameter {
    return this.#description.parameters.get(name)!;
  }

  /** x as `[tokens, d_in]`, checked. */
  #rows(x: Tensor<"float32">): Tensor<"float32"> {
    const { d_in } = this.config;
    const split = x.dims.findIndex((_, at) => at > 0 && sizeOf(x.dims.slice(at)) === d_in);
    if (split < 0) throw wrongInputShape(x.dims, d_in);
    const wrong = firstNotFinite(x.data);
    if (wrong >= 0) throw inputNotFinite(Math.floor(wrong / d_in));
    return tensor("float32", [sizeOf(x.dims.slice(0, split)), d_in], x.data);
  }
}

interface MemoryItems {
  readonly encoder: MemoryItem;
  readonly decoder: MemoryItem;
}

/**
 * Bytes of both sessions: ONNX Runtime holds every parameter as float32 in each session that uses it, and the dense
 * activations of one run, of which about three live at a time.
 */
function memoryItems(label: string, { config, parameters }: SaeDescription): MemoryItems {
  const decoding = new Set(["W_dec", "b_dec", "W_skip", "decodeScale"]);
  const tied = !parameters.has("W_enc");
  const bytes = (wanted: (name: string) => boolean): number =>
    [...parameters].reduce(
      (sum, [name, { dims }]) => sum + (wanted(name) ? 4 * sizeOf(dims) : 0),
      0,
    );
  const encoding = (name: string): boolean =>
    tied || name === "b_dec" || name === "preScale" || !decoding.has(name);
  const dense = 3 * 4 * rowsPerRun(config.d_sae) * config.d_sae;
  return {
    encoder: { what: `${label}: encoder`, bytes: bytes(encoding) + dense },
    decoder: { what: `${label}: decoder`, bytes: bytes((name) => decoding.has(name)) },
  };
}

/** The label, numbered if the same SAE is loaded twice, e.g. with other facts. */
function freeLabel({ ledger }: Device, label: string): string {
  const taken = ledger.status().planned.map(({ what }) => what);
  const free = (it: string): boolean => !taken.includes(`${it}: encoder`);
  if (free(label)) return label;
  let n = 2;
  while (!free(`${label} (${n})`)) n++;
  return `${label} (${n})`;
}
