import { Graph } from "../../graph/graph.ts";
import { argmax, gather, mul, reduceSum, relu, sub } from "../../graph/ops/index.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import { normalize } from "../normalization.ts";
import { type SparseActs, SparseRows } from "../sparse-acts.ts";
import { WeightValues } from "../weight-values.ts";
import type { Architecture, Encoder, OpenParts } from "./architecture.ts";
import { centred } from "./input.ts";

/**
 * Matching pursuit with a tied encoder: the decoder row most like the residual is taken out of it, again and again.
 * sae-lens@6.54 matching_pursuit_sae.py. Stops per token after `max_iterations`, when the residual's norm is below
 * `residual_threshold`, or when a step adds no new latent.
 */
export const matchingPursuit: Architecture = {
  name: "matching_pursuit",
  restoresNorm: true,
  addsBDec: ({ applyBDecToInput }) => applyBDecToInput,
  parameters: ({ d_in, d_sae }) => ({ W_dec: [d_sae, d_in], b_dec: [d_in] }),
  encoding: { kind: "own", open },
};

/** One session prepares the residual, one takes a step; the loop is here because tokens stop at different times. */
async function open({ label, device, config, parameters }: OpenParts): Promise<Encoder> {
  const { d_in } = config;
  const start = new Graph("matching-pursuit-start");
  const x = start.input("x", "float32", ["tokens", d_in]);
  const ready = centred(normalize(x, config.normalization).x, {
    weights: new WeightValues(start, parameters),
    config,
  });
  start.output("residual", mul(ready, 1));

  const step = new Graph("matching-pursuit-step");
  const residual = step.input("residual", "float32", ["tokens", d_in]);
  const weights = new WeightValues(step, parameters);
  const best = argmax(relu(weights.linear(residual, "W_dec", { flip: true })), 1);
  const row = gather(weights.value("W_dec"), best, 0);
  const value = relu(reduceSum(mul(residual, row), [1], true));
  step.output("latent", best);
  step.output("act", value);
  step.output("residual_out", sub(residual, mul(value, row)));

  const sessions = {
    start: await device.load(start, { label: `${label}: start` }),
    step: await device.load(step, { label: `${label}: step` }),
  };
  return {
    async encode(input, signal) {
      const { residual } = await sessions.start.run({ x: input }, ["residual"], signal);
      return pursue(residual as Tensor<"float32">, config.options, (rows) =>
        sessions.step.run({ residual: rows }, ["latent", "act", "residual_out"], signal),
      );
    },
    async release() {
      await sessions.start.release();
      await sessions.step.release();
    },
  };
}

/** Steps until every token has stopped. */
async function pursue(
  residual: Tensor<"float32">,
  options: OpenParts["config"]["options"],
  run: (rows: Tensor<"float32">) => Promise<Record<string, Tensor>>,
): Promise<SparseActs> {
  const [nTokens = 0, d_in = 0] = residual.dims;
  const threshold = Number(options["residual_threshold"]);
  const found = Array.from({ length: nTokens }, () => new Map<number, number>());
  let active = Array.from({ length: nTokens }, (_, token) => token);
  let rows: Float32Array = residual.data;
  for (let step = 0; step < Number(options["max_iterations"]) && active.length > 0; step++) {
    const out = await run(tensor("float32", [active.length, d_in], rows as Float32Array));
    const latents = out["latent"]!.data as BigInt64Array;
    const acts = out["act"]!.data as Float32Array;
    const next = out["residual_out"]!.data as Float32Array;
    const kept: number[] = [];
    for (const [index, token] of active.entries()) {
      const entries = found[token]!;
      const size = entries.size;
      const act = acts[index]!;
      if (act !== 0) {
        const latent = Number(latents[index]);
        entries.set(latent, Math.fround((entries.get(latent) ?? 0) + act));
      }
      const sameSupport = options["stop_on_duplicate_support"] === true && entries.size === size;
      const small = threshold > 0 && normOf(next, index, d_in) < threshold;
      if (!sameSupport && !small) kept.push(index);
    }
    rows = new Float32Array(kept.length * d_in);
    for (const [at, index] of kept.entries())
      rows.set(next.subarray(index * d_in, (index + 1) * d_in), at * d_in);
    active = kept.map((index) => active[index]!);
  }
  return sorted(found);
}

function normOf(rows: Float32Array, row: number, width: number): number {
  let sum = 0;
  for (let at = row * width; at < (row + 1) * width; at++) sum += rows[at]! ** 2;
  return Math.sqrt(sum);
}

function sorted(found: readonly ReadonlyMap<number, number>[]): SparseActs {
  const rows = new SparseRows(found.length);
  for (const [token, entries] of found.entries()) {
    const order = [...entries].sort(([a, x], [b, y]) => y - x || a - b);
    const latents = Int32Array.from(order, ([latent]) => latent);
    rows.set(
      token,
      latents,
      Float32Array.from(order, ([, act]) => act),
    );
  }
  return rows.finish();
}
