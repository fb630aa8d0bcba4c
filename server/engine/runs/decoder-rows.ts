/** Decoder rows of an SAE, each scaled to norm 1: what meta-SAEs are trained on. Bussmann et al. 2024, "Showing SAE latents are not atomic". */
import { hashWeights } from "../../files/locations.ts";
import { Decomposition } from "../../analysis/meta/decomposition.ts";
import { atOnce } from "../../analysis/pace.ts";
import type { Device } from "../../runtime/device.ts";
import { loadSae } from "../../sae/load.ts";
import { openSae } from "../../sae/sae.ts";
import { saeId } from "../../sae/sae-id.ts";
import { seeded } from "../../base/seeded-random.ts";
import { shuffledColumns, unitRows } from "../../sae/unit-rows.ts";
import { type ActivationSource, ShuffledBuffer } from "../../training/buffer.ts";
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
/** The same for all runs: figures of different controls compare. */
const shuffleSeed = 0;

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
    quality: (sae, device) => qualityOf(sae, path, device),
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
    const control = shuffledColumns(W_dec, width, seeded(shuffleSeed));
    const { model, hook, prependBos, n_ctx } = parent.config;
    const of = {
      ...(model === undefined ? {} : { model_name: model }),
      hook_name: hook,
      ...(n_ctx === undefined ? {} : { context_size: n_ctx }),
      prepend_bos: prependBos,
    };
    return {
      rows: { W_dec, "W_dec.shuffled": unitRows(control, width) },
      width,
      facts: metaFacts(of, saeId(path, [])),
    };
  } finally {
    parent.close();
  }
}

/**
 * What the finished meta-SAE makes of all rows, and of rows without their structure (`analysis/meta`): what is explained
 * of those, any directions of this spread would have explained.
 */
async function qualityOf(
  path: string,
  parentPath: string,
  device: Device,
): Promise<Readonly<Record<string, number>>> {
  const parent = await openSae(await loadSae(parentPath), device);
  const meta = await openSae(await loadSae(path), device);
  try {
    const { summary } = await Decomposition.of(meta, parent, atOnce);
    return {
      fvu: 1 - summary.varianceExplained,
      fvuShuffledEntries: 1 - summary.shuffledEntries,
      fvuShuffledColumns: 1 - summary.shuffledColumns,
      l0: summary.l0,
      dead: summary.dead,
    };
  } finally {
    await meta.release();
    await parent.release();
  }
}
