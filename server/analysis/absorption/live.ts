/**
 * Absorption at the tokens of a text, by a task that was prepared before: which label a word has, what the probe says there, and
 * whether the label's main latents fire, were absorbed, or do not exist. A few products per word; nothing is run.
 */
import type { LatentShare, TokenAbsorption } from "../../protocol/absorption.ts";
import { dot, type LinearProbe, probeProbabilities } from "../probes/linear-probe.ts";
import { isWholeWord } from "../tasks/words-in-text.ts";
import type { LatentEncoder } from "./encoders.ts";
import { type ActiveLatents, projectionReading } from "./projection-rule.ts";
import { minProbeF1 } from "./summary.ts";
import { silenceParts } from "./why-silent.ts";

/** One label of a prepared task. */
export interface PreparedLabel {
  readonly label: string;
  /** F1 on words held out: of the probe, and of the probe on the main latents alone. */
  readonly probeF1: number;
  readonly mainF1: number;
  readonly main: readonly number[];
}

/** A task as it is judged at one SAE. */
export interface PreparedTask {
  readonly task: string;
  readonly setting: "prompts" | "text";
  readonly probe: LinearProbe;
  /** By label of the probe; undefined where too few words were found. */
  readonly labels: readonly (PreparedLabel | undefined)[];
  /** Labels of vocabulary tokens that are words of the task. */
  readonly labelsOfToken: ReadonlyMap<number, readonly number[]>;
  /** Ids behind the word in the task's prompts. */
  readonly suffix: Int32Array;
  /** Cosines of decoder rows with the probe's directions. `[labels][d_sae]` */
  readonly cosines: readonly Float32Array[];
  /** Of all main latents. */
  readonly encoders: ReadonlyMap<number, LatentEncoder>;
}

/** Rows of a context with what an SAE has there. */
export interface JudgedRows {
  readonly ids: Int32Array;
  readonly texts: readonly string[];
  /** `[tokens, d]` */
  readonly x: Float32Array;
  readonly active: (token: number) => ActiveLatents;
  /** Decoder rows of some latents `[latents, d]`; absent where they do not write to what the SAE reads. */
  readonly decoderRows?: (latents: readonly number[]) => Float32Array;
}

/** Latents that are shown of those that carry most. */
const shown = 3;

/** The verdicts of all tasks at all tokens from `from` on that are words of theirs. */
export function judgeTokens(
  tasks: readonly PreparedTask[],
  rows: JudgedRows,
  from = 0,
): TokenAbsorption[] {
  const verdicts: TokenAbsorption[] = [];
  for (let token = Math.max(1, from); token < rows.ids.length; token++) {
    const inPrompt = tasks.some((task) => task.setting === "prompts" && isAsked(task, rows, token));
    for (const task of tasks) {
      if ((task.setting === "prompts") !== inPrompt) continue;
      if (inPrompt && !isAsked(task, rows, token)) continue;
      const labels = task.labelsOfToken.get(rows.ids[token]!) ?? [];
      if (!isWholeWord(rows.texts, token)) {
        // Only where a prompt asks about it is a piece of a word known to be meant.
        if (inPrompt) verdicts.push(notAWord(task, token));
        continue;
      }
      for (const label of labels) verdicts.push(judge(task, label, { rows, token }));
    }
  }
  return verdicts;
}

/** Whether the words of the task's prompt follow the token. */
function isAsked({ suffix }: PreparedTask, { ids }: JudgedRows, token: number): boolean {
  return suffix.every((id, at) => ids[token + 1 + at] === id);
}

function notAWord({ task, setting }: PreparedTask, token: number): TokenAbsorption {
  return { token, task, setting, verdict: "not-judged", reason: "several-tokens" };
}

function judge(
  task: PreparedTask,
  label: number,
  { rows, token }: { rows: JudgedRows; token: number },
): TokenAbsorption {
  const { probe, labels } = task;
  const prepared = labels[label];
  const base = { token, task: task.task, setting: task.setting } as const;
  if (!prepared) return { ...base, verdict: "not-judged", reason: "too-few-words" };
  const { d } = probe;
  const x = rows.x.subarray(token * d, (token + 1) * d);
  const probability = probeProbabilities(probe, x)[label]!;
  const direction = probe.weights.subarray(label * d, (label + 1) * d);
  const norm = Math.sqrt(dot(direction, 0, { b: direction, bAt: 0, n: d })) || 1;
  const projection = dot(x, 0, { b: direction, bAt: 0, n: d }) / norm;
  const active = rows.active(token);
  const reading = projectionReading(active, {
    cosines: task.cosines[label]!,
    main: prepared.main,
    projection,
    top: shown,
  });
  const figures = {
    ...base,
    label: prepared.label,
    probability,
    probeF1: prepared.probeF1,
    mainF1: prepared.mainF1,
    projection,
    mainProjection: reading.mainProjection,
    fraction: reading.fraction,
    isPartial: reading.isPartial,
    main: prepared.main.map((latent) => mainLatent(task, latent, { x, active })),
    strongest: reading.strongest.filter((it) => it.projection > 0),
  };
  if (prepared.probeF1 < minProbeF1)
    return { ...figures, verdict: "not-judged", reason: "probe-poor" };
  if (probability <= 0.5) return { ...figures, verdict: "not-judged", reason: "probe-unsure" };
  if (prepared.mainF1 < minProbeF1) return { ...figures, verdict: "no-latent" };
  if (reading.mainFires) return { ...figures, verdict: "fires" };
  if (reading.isFull || reading.fraction >= 1) {
    const why = whySilent(task, figures, { rows, x, direction });
    return { ...figures, ...(why ? { why } : {}), verdict: "absorbed" };
  }
  return { ...figures, verdict: "not-judged", reason: "no-absorber" };
}

/** Of the first main latent, over the latents that carry most. */
function whySilent(
  { encoders }: PreparedTask,
  { main, strongest }: { main: readonly { latent: number }[]; strongest: readonly LatentShare[] },
  at: { rows: JudgedRows; x: Float32Array; direction: Float32Array },
): TokenAbsorption["why"] {
  const encoder = encoders.get(main[0]?.latent ?? -1);
  const latents = strongest.map((it) => it.latent);
  const decoderRows = encoder && at.rows.decoderRows?.([encoder.latent, ...latents]);
  if (!encoder || !decoderRows) return undefined;
  const [mainRow, others] = [
    decoderRows.subarray(0, at.x.length),
    decoderRows.subarray(at.x.length),
  ];
  const { direction } = at;
  const acts = strongest.map((it) => it.activation);
  return silenceParts(encoder, at.x, { direction, latents, acts, decoderRows: others, mainRow });
}

function mainLatent(
  { encoders }: PreparedTask,
  latent: number,
  { x, active }: { x: Float32Array; active: ActiveLatents },
): NonNullable<TokenAbsorption["main"]>[number] {
  const at = Array.prototype.indexOf.call(active.latents, latent);
  const encoder = encoders.get(latent);
  const smallest = Math.min(...Array.from(active.acts));
  const threshold = encoder?.threshold ?? (Number.isFinite(smallest) ? smallest : undefined);
  return {
    latent,
    activation: at < 0 ? 0 : active.acts[at]!,
    ...(encoder
      ? {
          preActivation: dot(x, 0, { b: encoder.direction, bAt: 0, n: x.length }) + encoder.bias,
        }
      : {}),
    ...(threshold === undefined ? {} : { threshold: Math.max(0, threshold) }),
  };
}
