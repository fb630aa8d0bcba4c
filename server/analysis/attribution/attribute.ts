/**
 * Attribution of a number to the latents of an SAE that stands in the way: how much of it each active latent at each token,
 * and what the SAE left unexplained, is answerable for.
 *
 * Marks et al. 2024, arXiv:2403.19647, section 2: the SAE is spliced into the model with its error kept,
 * x = Σ acts_i · W_dec_i + b + error, so that the model computes what it always does, and latents and error are
 * quantities that the number depends on. "gradient" is their linear approximation to zero ablation (equation 2),
 * ∂m/∂acts_i · acts_i; "integrated" averages the gradient over the straight way from no latents and no error at the chosen
 * positions to the text as it is (equation 3; Sundararajan et al. 2017, arXiv:1703.01365), at the middles of equal steps unless asked
 * otherwise.
 * They differ from that paper's in sign: here a latent that raises the number is positive.
 */
import { assert } from "../../base/errors.ts";
import type { LmGradients } from "../../lm/gradients.ts";
import { printHookPoint } from "../../lm/hook-points.ts";
import { Stream } from "../../lm/stream.ts";
import { Trace } from "../../lm/gradient-trace.ts";
import type { SparseActs } from "../../sae/sparse-acts.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import { directionBeforeSae, noPosition } from "../intervention/errors.ts";
import { residualHook, type SaeSite, siteHook } from "../sae-site.ts";
import { lastPosition, type Metric, readMetric } from "./metric.ts";

/** Latents whose decoder rows are held at once. */
const rowsAtOnce = 2048;

/** How to attribute a text. */
export interface AttributionOptions extends TextAttributionOptions {
  readonly ids: Int32Array;
}

/** How to attribute a text that is taken apart already. */
interface TextAttributionOptions {
  readonly metric: Metric;
  /** Positions whose latents are asked about; the way from nothing changes these alone. */
  readonly positions: readonly number[];
  readonly method: "gradient" | "integrated";
  /** Points on the way, for "integrated". */
  readonly steps: number;
  /**
   * Where in each step the gradient is taken: at its "middle" (without it), or at its "end", the one nearer to the text as it is,
   * which Marks et al. and Chanin et al. take in their code.
   */
  readonly points?: "middle" | "end";
  readonly signal?: AbortSignal;
  /** Called before every step, which waits for it. */
  readonly onStep?: (done: number, total: number) => void | Promise<void>;
}

/** One active latent at one position. */
export interface LatentAttribution {
  readonly position: number;
  readonly latent: number;
  readonly activation: number;
  /** ∂m/∂activation, averaged over the way for "integrated". */
  readonly gradient: number;
  readonly attribution: number;
}

/** What the parts of an SAE's input have to do with a number. */
export interface Attribution {
  /** The number for the text as it is. */
  readonly value: number;
  /** The number if the SAE's output at the chosen positions is what it writes without any latent, and nothing beside it. */
  readonly baseline: number;
  readonly positions: readonly number[];
  /** Active latents of the chosen positions, in their order. */
  readonly latents: readonly LatentAttribution[];
  /** Attribution to the error at each chosen position. */
  readonly error: readonly number[];
  /** Σ over latents and errors; equals value − baseline as far as the approximation goes. */
  readonly sum: number;
  /** (Averaged) gradient at the SAE's output, `[positions, d_model]`. */
  readonly gradient: Float32Array;
}

/** A text read up to the SAE, taken apart there. */
export interface SplicedText {
  readonly site: SaeSite;
  readonly tokens: number;
  /** The residual that enters the site's layer. `[tokens, d_model]` */
  readonly resid: Float32Array;
  /** What the SAE encodes. `[tokens, d_in]` */
  readonly input: Float32Array;
  readonly acts: SparseActs;
  /** What a unit of activation is worth at each token, beyond the decoder's row. `[tokens]` */
  readonly scales: Float64Array | undefined;
  /** Input less reconstruction. `[tokens, d_model]` */
  readonly error: Float32Array;
  /** Latents' part of the output and the error together. `[tokens, d_model]` */
  readonly explained: Float32Array;
}

/** Attributes a metric to the latents of an SAE. */
export async function attribute(
  gradients: LmGradients,
  site: SaeSite,
  options: AttributionOptions,
): Promise<Attribution> {
  const { metric, signal } = options;
  const last = lastPosition(metric);
  if (last < 0 || last >= options.ids.length) throw noPosition(last, options.ids.length);
  // Nothing after the position that the metric reads can have to do with it.
  const ids = options.ids.subarray(0, last + 1);
  const positions = options.positions.filter((position) => position <= last);
  const text = await spliceText(gradients, site, ids, signal);
  return attributeText(gradients, text, { ...options, positions });
}

/** The same for a text that is taken apart already, and that ends where the metric reads. */
export async function attributeText(
  gradients: LmGradients,
  text: SplicedText,
  options: TextAttributionOptions,
): Promise<Attribution> {
  const { metric, positions, signal } = options;
  const found = await averageGradient(gradients, text, options);
  const baseline = await metricAt(gradients, text, {
    metric,
    resid: without(text, positions, 1),
    signal,
  });
  return { ...attributed(text, positions, found.gradient), value: found.value, baseline };
}

/** Reads a text up to an SAE and takes its input apart. */
export async function spliceText(
  { lm }: LmGradients,
  site: SaeSite,
  ids: Int32Array,
  signal?: AbortSignal,
): Promise<SplicedText> {
  const hooks = [
    residualHook(site.layer),
    siteHook(site, site.input),
    siteHook(site, site.target),
  ] as const;
  const stream = new Stream(lm);
  try {
    stream.setIds(ids);
    const read = await stream.read(hooks, signal);
    const [resid, x, target] = hooks.map((hook) => read.get(printHookPoint(hook))!);
    const acts = await site.sae.encode(x!, signal);
    const x_hat = await site.sae.decode(acts, x, signal);
    const empty = emptyActs(ids.length);
    const rest = await site.sae.decode(empty, x, signal);
    return {
      site,
      tokens: ids.length,
      resid: resid!.data as Float32Array,
      input: x!.data as Float32Array,
      acts,
      scales: site.sae.decoderScales(x!),
      error: difference(target!, x_hat),
      explained: difference(target!, rest),
    };
  } finally {
    stream.dispose();
  }
}

/** The residual with a share of latents and error taken away at positions. `[tokens, d_model]` */
export function without(
  text: SplicedText,
  positions: readonly number[],
  share: number,
): Float32Array {
  const resid = text.resid.slice();
  const width = resid.length / text.tokens;
  for (const position of positions) {
    for (let i = position * width; i < (position + 1) * width; i++)
      resid[i]! -= share * text.explained[i]!;
  }
  return resid;
}

/** A metric of the model with another residual at the site. */
export async function metricAt(
  gradients: LmGradients,
  { site }: Pick<SplicedText, "site">,
  at: { metric: Metric; resid: Float32Array; signal: AbortSignal | undefined },
): Promise<number> {
  const trace = await Trace.run(gradients.lm, { layer: site.layer, resid: at.resid }, at.signal);
  return (await readMetric(gradients, trace, at.metric, at.signal)).value;
}

/** Value of the metric, and its gradient at the site: at the text itself, or averaged over the way to it. */
async function averageGradient(
  gradients: LmGradients,
  text: SplicedText,
  { metric, positions, method, steps, points, signal, onStep }: TextAttributionOptions,
): Promise<{ value: number; gradient: Float32Array }> {
  const { site, resid } = text;
  if (metric.kind === "direction" && metric.layer < site.layer)
    throw directionBeforeSae(metric.layer, site.layer);
  const whole = await gradientAt(gradients, site, { metric, resid, signal });
  if (method === "gradient") return whole;
  assert(steps >= 1, "integrated gradients need a step");
  const gradient = new Float32Array(resid.length);
  for (let step = 0; step < steps; step++) {
    signal?.throwIfAborted();
    await onStep?.(step, steps);
    const share = 1 - (step + (points === "end" ? 1 : 0.5)) / steps;
    const at = { metric, resid: without(text, positions, share), signal };
    const found = share === 0 ? whole : await gradientAt(gradients, site, at);
    for (let i = 0; i < gradient.length; i++) gradient[i]! += found.gradient[i]! / steps;
  }
  return { value: whole.value, gradient };
}

async function gradientAt(
  gradients: LmGradients,
  { layer }: SaeSite,
  {
    metric,
    resid,
    signal,
  }: { metric: Metric; resid: Float32Array; signal: AbortSignal | undefined },
): Promise<{ value: number; gradient: Float32Array }> {
  const trace = await Trace.run(gradients.lm, { layer, resid }, signal);
  const { value, layer: end, dResid } = await readMetric(gradients, trace, metric, signal);
  if (end === layer) return { value, gradient: dResid };
  const hook = { kind: "resid_pre", layer } as const;
  const found = await gradients.backward(trace, new Map([[end, dResid]]), [hook], signal);
  return { value, gradient: found.get(printHookPoint(hook))!.data as Float32Array };
}

/** Shares of latents and errors out of the gradient at the SAE's output. */
function attributed(
  text: SplicedText,
  positions: readonly number[],
  gradient: Float32Array,
): Omit<Attribution, "value" | "baseline"> {
  const width = gradient.length / text.tokens;
  const latents = attributedLatents(text, positions, gradient);
  const error = positions.map((position) =>
    dot(gradient, text.error, { from: position * width, at: position * width, width }),
  );
  const sum = [...latents.map((it) => it.attribution), ...error].reduce((a, b) => a + b, 0);
  const rows = new Float32Array(positions.length * width);
  positions.forEach((position, row) => {
    rows.set(gradient.subarray(position * width, (position + 1) * width), row * width);
  });
  return { positions, latents, error, sum, gradient: rows };
}

function attributedLatents(
  { acts, scales, tokens, site }: SplicedText,
  positions: readonly number[],
  gradient: Float32Array,
): LatentAttribution[] {
  const width = gradient.length / tokens;
  const entries = positions.flatMap((position) => {
    const [from = 0, to = 0] = acts.offsets.subarray(position, position + 2);
    return Array.from({ length: to - from }, (_, i) => ({
      position,
      latent: acts.latents[from + i]!,
      activation: acts.acts[from + i]!,
      gradient: 0,
    }));
  });
  const used = [...new Set(entries.map(({ latent }) => latent))];
  for (let first = 0; first < used.length; first += rowsAtOnce) {
    const part = used.slice(first, first + rowsAtOnce);
    const rows = site.sae.decoderRows(part);
    const rowOf = new Map(part.map((latent, row) => [latent, row]));
    for (const entry of entries) {
      const row = rowOf.get(entry.latent);
      if (row === undefined) continue;
      const at = { from: entry.position * width, at: row * width, width };
      entry.gradient = dot(gradient, rows, at) * (scales?.[entry.position] ?? 1);
    }
  }
  return entries.map((entry) => ({ ...entry, attribution: entry.gradient * entry.activation }));
}

/** No latents at any of so many rows. */
export function emptyActs(nRows: number): SparseActs {
  const none = new Int32Array(0);
  return { offsets: new Int32Array(nRows + 1), latents: none, acts: new Float32Array(0) };
}

function difference(a: Tensor<"float32">, b: Tensor<"float32">): Float32Array {
  assert(a.data.length === b.data.length, "an SAE's output is as wide as what it stands for");
  return tensor("float32", a.dims, a.data.map((x, i) => x - b.data[i]!) as Float32Array).data;
}

function dot(
  a: Float32Array,
  b: Float32Array,
  { from, at, width }: { from: number; at: number; width: number },
): number {
  let sum = 0;
  for (let i = 0; i < width; i++) sum += a[from + i]! * b[at + i]!;
  return sum;
}
