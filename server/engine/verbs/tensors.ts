/** `activations` and `encode`: numbers as safetensors files, for comparison with other tools. */
import { UserError } from "../../base/errors.ts";
import { readSafetensors, writeSafetensors } from "../../encoding/safetensors.ts";
import { readBytes, writeFileAtomic } from "../../files/disk.ts";
import { type HookPoint, printHookPoint } from "../../lm/hook-points.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import type { Precision } from "../../lm/precision.ts";
import { Stream } from "../../lm/stream.ts";
import { toFloat32 } from "../../tensor/half.ts";
import { sizeOf, type Tensor, tensor } from "../../tensor/tensor.ts";
import type { Engine } from "../engine.ts";

/** One sequence, as text (BOS as the model's tokenizer has it) or as ids (taken as they are). */
export type Sequence = { readonly text: string } | { readonly ids: Int32Array };

/**
 * Writes one tensor per hook point under its TransformerLens name (z flattened to `[tokens, n_heads·d_head]`), the
 * ids, and `logits [tokens, d_vocab]` if asked for by that name.
 */
export async function writeActivations(
  engine: Engine,
  options: {
    readonly lm: string;
    readonly sequence: Sequence;
    readonly hooks: readonly string[];
    readonly output: string;
    readonly precision: Precision;
    readonly signal: AbortSignal;
  },
): Promise<{ output: string; tokens: number; tensors: Record<string, readonly number[]> }> {
  const { id } = await engine.loadLm({ path: options.lm, precision: options.precision });
  const lm = engine.loaded.lm(id);
  const ids = "ids" in options.sequence ? options.sequence.ids : withBos(lm, options.sequence.text);
  if (ids.length === 0)
    throw new UserError("no-tokens", "there are no tokens to run; give --text or --ids");
  const unknown = ids.find((token) => token < 0 || token >= lm.config.d_vocab);
  if (unknown !== undefined)
    throw new UserError(
      "bad-id",
      `id ${unknown} is not in the vocabulary of ${id}; ids go from 0 to ${lm.config.d_vocab - 1}`,
    );
  const names = options.hooks.filter((name) => name !== "logits");
  const hooks: HookPoint[] = names.map((name) => lm.hook(name));
  const stream = new Stream(lm);
  const tensors = new Map<string, Tensor>();
  try {
    stream.setIds(ids);
    const kept = await stream.read(hooks, options.signal);
    for (const hook of hooks) {
      const name = printHookPoint(hook);
      tensors.set(name, hook.kind === "pattern" ? must(kept, name) : flat(must(kept, name)));
    }
    tensors.set("logits", await stream.logits(undefined, options.signal));
  } finally {
    stream.dispose();
  }
  tensors.set("ids", tensor("int32", [ids.length], ids));
  writeFileAtomic(options.output, writeSafetensors(tensors));
  return {
    output: options.output,
    tokens: ids.length,
    tensors: Object.fromEntries([...tensors].map(([name, { dims }]) => [name, dims])),
  };
}

/**
 * Reads `x [n, d_in]`, writes `x_hat [n, d_out]` and `acts [n, d_sae]`, or with `sparse` the active latents only:
 * `offsets [n + 1]`, `latents`, `values`, strongest first in each row.
 */
export async function encodeFile(
  engine: Engine,
  options: {
    readonly sae: string;
    readonly input: string;
    readonly output: string;
    readonly sparse: boolean;
    readonly facts: Readonly<Record<string, string | number | boolean>>;
    readonly signal: AbortSignal;
  },
): Promise<{ output: string; rows: number; meanL0: number }> {
  const { id } = await engine.loadSae({ path: options.sae, facts: options.facts });
  const { sae } = engine.loaded.sae(id);
  const stored = readSafetensors(readBytes(options.input));
  const given = stored.get("x");
  if (!given)
    throw new UserError(
      "no-x",
      `${options.input} has no tensor x; it has ${[...stored.keys()].join(", ") || "none"}`,
    );
  const { d_in } = sae.config;
  if (given.dims.at(-1) !== d_in)
    throw new UserError(
      "wrong-width",
      `x of ${options.input} has shape [${given.dims.join(", ")}]; the last dimension must be d_in = ${d_in}`,
    );
  const rows = sizeOf(given.dims) / d_in;
  const x = tensor("float32", [rows, d_in], toFloat32(given));
  const found = await sae.encode(x, options.signal);
  const x_hat = await sae.decode(found, x, options.signal);
  const tensors = new Map<string, Tensor>([["x_hat", x_hat]]);
  if (options.sparse) {
    tensors.set("offsets", tensor("int32", [rows + 1], found.offsets));
    tensors.set("latents", tensor("int32", [found.latents.length], found.latents));
    tensors.set("values", tensor("float32", [found.acts.length], found.acts));
  } else {
    tensors.set("acts", await sae.encodeDense(x, options.signal));
  }
  writeFileAtomic(options.output, writeSafetensors(tensors));
  return { output: options.output, rows, meanL0: rows === 0 ? 0 : found.latents.length / rows };
}

function withBos({ tokenizer }: LanguageModel, text: string): Int32Array {
  const { ids } = tokenizer.encode(text);
  const bos = tokenizer.addsBos ? tokenizer.bosId : undefined;
  return bos === undefined ? ids : Int32Array.of(bos, ...ids);
}

function must(kept: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const found = kept.get(name);
  if (!found) throw new Error(`bug: ${name} was not read`);
  return found;
}

function flat({ dims, data }: Tensor): Tensor {
  const [nTokens = 0, ...rest] = dims;
  return tensor("float32", [nTokens, sizeOf(rest)], data as Float32Array);
}
