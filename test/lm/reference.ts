/** Gemma-2's block in plain f64 loops, written from the paper and transformers' code: what the graphs are compared with. */
import type { Weights } from "../../server/files/weights.ts";

type Matrix = Float64Array[];

/** Sizes of the tiny Gemma-2 of the goldens. */
export const sizes = {
  n_heads: 4,
  n_kv_heads: 2,
  d_head: 12,
  window: 8,
  eps: 1e-6,
  theta: 10_000,
  scale: 16 ** -0.5,
  cap: 5,
};

/** Every named quantity of one block; rows by position, pattern `[n_heads][tokens][tokens]` flattened. */
export function gemma2Block(
  weights: Weights,
  layer: number,
  resid: Matrix,
): Record<string, number[]> {
  const { n_heads, n_kv_heads, d_head } = sizes;
  const at = `model.layers.${layer}`;
  const matrix = (name: string): Matrix => rowsOf(weights, `${at}.${name}.weight`);
  const norm = (x: Matrix, name: string): Matrix => {
    const weight = weights.readFloat32(`${at}.${name}.weight`);
    return rms(x).map((row) => row.map((value, i) => value * (1 + weight[i]!)));
  };
  const x = norm(resid, "input_layernorm");
  const q = rotate(product(x, matrix("self_attn.q_proj")), n_heads);
  const k = rotate(product(x, matrix("self_attn.k_proj")), n_kv_heads);
  const v = product(x, matrix("self_attn.v_proj"));
  const pattern: number[] = [];
  const z = resid.map(() => new Float64Array(n_heads * d_head));
  for (let head = 0; head < n_heads; head++) {
    const shared = Math.floor(head / (n_heads / n_kv_heads)) * d_head;
    for (let t = 0; t < resid.length; t++) {
      const first = layer % 2 === 0 ? Math.max(0, t - sizes.window + 1) : 0;
      const scores = resid.map((_, s) => {
        if (s < first || s > t) return -Infinity;
        let dot = 0;
        for (let i = 0; i < d_head; i++) dot += q[t]![head * d_head + i]! * k[s]![shared + i]!;
        return sizes.cap * Math.tanh((dot * sizes.scale) / sizes.cap);
      });
      const weightsOfRow = softmax(scores);
      pattern.push(...weightsOfRow);
      for (const [s, weight] of weightsOfRow.entries()) {
        for (let i = 0; i < d_head; i++) z[t]![head * d_head + i]! += weight * v[s]![shared + i]!;
      }
    }
  }
  const attn_out_raw = product(z, matrix("self_attn.o_proj"));
  const attn_out = norm(attn_out_raw, "post_attention_layernorm");
  const resid_mid = sum(resid, attn_out);
  const mlp_in = norm(resid_mid, "pre_feedforward_layernorm");
  const gate = product(mlp_in, matrix("mlp.gate_proj"));
  const up = product(mlp_in, matrix("mlp.up_proj"));
  const mlp_post = gate.map((row, t) => row.map((value, i) => gelu(value) * up[t]![i]!));
  const mlp_out_raw = product(mlp_post, matrix("mlp.down_proj"));
  const mlp_out = norm(mlp_out_raw, "post_feedforward_layernorm");
  const rows = { z, attn_out_raw, attn_out, resid_mid, mlp_in, mlp_post, mlp_out_raw, mlp_out };
  const all = { ...rows, ln2_normalized: rms(resid_mid), resid_post: sum(resid_mid, mlp_out) };
  const flat = Object.entries(all).map(([name, value]) => [name, value.flatMap((row) => [...row])]);
  return { ...(Object.fromEntries(flat) as Record<string, number[]>), pattern };
}

function rowsOf(weights: Weights, name: string): Matrix {
  const [rows, width] = weights.dims(name) as [number, number];
  const data = Float64Array.from(weights.readFloat32(name));
  return Array.from({ length: rows }, (_, row) => data.subarray(row * width, (row + 1) * width));
}

/** x · Wᵀ for W stored [out, in]. */
function product(x: Matrix, W: Matrix): Matrix {
  return x.map((row) =>
    Float64Array.from(W, (w) => w.reduce((s, value, i) => s + value * row[i]!, 0)),
  );
}

function sum(a: Matrix, b: Matrix): Matrix {
  return a.map((row, t) => row.map((value, i) => value + b[t]![i]!));
}

function rms(x: Matrix): Matrix {
  return x.map((row) => {
    const mean = row.reduce((s, value) => s + value * value, 0) / row.length;
    return row.map((value) => value / Math.sqrt(mean + sizes.eps));
  });
}

/** Pairs (i, i + d_head / 2) of each head turned by position · theta^(−2i / d_head). */
function rotate(x: Matrix, heads: number): Matrix {
  const { d_head, theta } = sizes;
  const half = d_head / 2;
  return x.map((row, position) => {
    const turned = row.slice();
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < half; i++) {
        const [a, b] = [head * d_head + i, head * d_head + i + half];
        const angle = position * theta ** ((-2 * i) / d_head);
        turned[a] = row[a]! * Math.cos(angle) - row[b]! * Math.sin(angle);
        turned[b] = row[b]! * Math.cos(angle) + row[a]! * Math.sin(angle);
      }
    }
    return turned;
  });
}

function softmax(scores: number[]): number[] {
  const top = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - top));
  const total = weights.reduce((s, weight) => s + weight, 0);
  return weights.map((weight) => weight / total);
}

/** The tanh approximation. */
function gelu(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}
