/** Decoder rows of an SAE, each scaled to norm 1: what meta-SAEs are trained on. Bussmann et al. 2024, "Showing SAE latents are not atomic". */
import { hashWeights } from "../../files/locations.ts";
import type { Device } from "../../runtime/device.ts";
import { loadSae } from "../../sae/load.ts";
import { openSae } from "../../sae/sae.ts";
import { saeId } from "../../sae/sae-id.ts";
import { tensor } from "../../tensor/tensor.ts";
import { type ActivationSource, ShuffledBuffer } from "../../training/buffer.ts";
import { permutation } from "../../training/permutation.ts";
import { saePath } from "../names.ts";
import { pieceRows, piecesOf } from "./data-rows.ts";
import { noHookHere } from "./errors.ts";
import type { RunData } from "./open-data.ts";
import type { DataConfig } from "./run-config.ts";
import { metaFacts } from "./run-outputs.ts";

/**
 * The rows as they are, and the control: every dimension's entries shuffled over the rows, which keeps the spread of each and
 * none of what they have in common, and the rows scaled to norm 1 again.
 */
const rowKinds = ["W_dec", "W_dec.shuffled"] as const;
/** Seed and purpose of the shuffling, which is the same for all: figures of different meta-SAEs compare. */
const [shuffleSeed, shufflePurpose] = [0, 5] as const;
/** Rows of one encoding. */
const encodedRows = 1024;

type Rows = Readonly<Record<(typeof rowKinds)[number], Float32Array>>;

/** Opens an SAE's decoder rows. */
export async function openDecoderRows(
  config: Extract<DataConfig, { kind: "decoder-rows" }>,
): Promise<RunData> {
  const path = saePath(config.sae);
  const { rows, width, facts } = await readRows(path);
  const nRows = rows.W_dec.length / width;
  return {
    config: { ...config, sae: path },
    batchRows: undefined,
    inputs: { sae: hashWeights(path) },
    hook(name) {
      if (name !== null && !isKind(name)) throw noHookHere(name, rowKinds);
      return { name: name ?? "W_dec", width };
    },
    metadata: (hook) => (hook === "W_dec" ? facts : { ...facts, input: "shuffled W_dec rows" }),
    quality: (sae, device) => qualityOf(sae, rows, device),
    async open(wanted, options) {
      const source: ActivationSource = {
        widths: new Map(wanted.map((hook) => [hook, width])),
        pieceRows: piecesOf(nRows),
        async read(piece, signal) {
          signal?.throwIfAborted();
          const from = piece * pieceRows * width;
          const part = (hook: string) =>
            rows[hook as keyof Rows].subarray(from, from + pieceRows * width);
          return new Map(wanted.map((hook) => [hook, part(hook)]));
        },
        close: async () => {},
      };
      const batches = new ShuffledBuffer(source, options);
      return { batches, bytes: batches.bytes + 2 * rows.W_dec.byteLength };
    },
    close: async () => {},
  };
}

function isKind(name: string): name is keyof Rows {
  return rowKinds.some((it) => it === name);
}

async function readRows(path: string): Promise<{
  rows: Rows;
  width: number;
  facts: Readonly<Record<string, unknown>>;
}> {
  const parent = await loadSae(path);
  try {
    const width = parent.config.d_out;
    const W_dec = unitRows(parent.parameters.get("W_dec")!.readFloat32(), width);
    const { model, hook, prependBos, n_ctx } = parent.config;
    const of = {
      ...(model === undefined ? {} : { model_name: model }),
      hook_name: hook,
      ...(n_ctx === undefined ? {} : { context_size: n_ctx }),
      prepend_bos: prependBos,
    };
    return {
      rows: { W_dec, "W_dec.shuffled": unitRows(shuffled(W_dec, width), width) },
      width,
      facts: metaFacts(of, saeId(path, [])),
    };
  } finally {
    parent.close();
  }
}

/** Scales rows to norm 1, in place. */
function unitRows(rows: Float32Array, width: number): Float32Array {
  for (let at = 0; at < rows.length; at += width) {
    const row = rows.subarray(at, at + width);
    const norm = Math.sqrt(row.reduce((sum, it) => sum + it * it, 0));
    if (norm > 0) for (let i = 0; i < width; i++) row[i]! /= norm;
  }
  return rows;
}

/** Every column in an order of its own. */
function shuffled(rows: Float32Array, width: number): Float32Array {
  const out = new Float32Array(rows.length);
  for (let i = 0; i < width; i++) {
    const order = permutation(rows.length / width, shuffleSeed, shufflePurpose, i);
    order.forEach((from, to) => (out[to * width + i] = rows[from * width + i]!));
  }
  return out;
}

/**
 * FVU (Σ ‖x − x̂‖² over Σ ‖x − mean x‖²) and L0 of a finished meta-SAE on all rows, and both on the shuffled ones: what is
 * explained there is what any directions of this spread would have explained.
 */
async function qualityOf(
  path: string,
  rows: Rows,
  device: Device,
): Promise<Readonly<Record<string, number>>> {
  const sae = await openSae(await loadSae(path), device);
  try {
    const own = await figures(rows.W_dec);
    const control = await figures(rows["W_dec.shuffled"]);
    return { fvu: own.fvu, l0: own.l0, fvuShuffled: control.fvu, l0Shuffled: control.l0 };
  } finally {
    await sae.release();
  }

  async function figures(all: Float32Array): Promise<{ fvu: number; l0: number }> {
    const width = sae.config.d_in;
    const nRows = all.length / width;
    const mean = new Float64Array(width);
    all.forEach((it, at) => (mean[at % width]! += it / nRows));
    let [error, spread, active] = [0, 0, 0];
    for (let from = 0; from < nRows; from += encodedRows) {
      const data = all.slice(from * width, (from + encodedRows) * width);
      const x = tensor("float32", [data.length / width, width], data);
      const acts = await sae.encode(x);
      active += acts.latents.length;
      const x_hat = (await sae.decode(acts, x)).data;
      data.forEach((it, at) => {
        error += (it - x_hat[at]!) ** 2;
        spread += (it - mean[at % width]!) ** 2;
      });
    }
    return { fvu: error / spread, l0: active / nRows };
  }
}
