/**
 * A training config: one complete JSON value with every option of SAELens's and dictionary_learning's trainers, by names
 * that `common-config.ts` and each file of `trainers/` document. What is left out of a file gets its default here, so
 * that the parsed value says everything.
 */
import * as v from "valibot";
import { turnsBefore } from "./adversary-config.ts";
import { badTrainConfig, conflictingOptions, unknownOption } from "./errors.ts";
import { kindOf, type TrainConfig, trainSchema } from "./trainers/index.ts";

export type { TrainConfig } from "./trainers/index.ts";

/** Reads a config. `where` names its file in errors, which say key, found and expected. */
export function parseTrainConfig(value: unknown, where: string): TrainConfig {
  const result = v.safeParse(trainSchema, value, { abortPipeEarly: true });
  if (!result.success) throw asUserError(result.issues[0], where);
  const problem = commonProblem(result.output) ?? kindOf(result.output).problem?.(result.output);
  if (problem !== undefined) throw conflictingOptions(where, problem);
  return withAdversary(result.output, where);
}

/** Completes the options of the meta-SAE that is trained with the SAE. */
function withAdversary(config: TrainConfig, where: string): TrainConfig {
  const { adversary, d_in, d_out, steps, seed } = config;
  if (adversary === null) return config;
  const value = {
    seed,
    ...adversary.train,
    d_in: d_out ?? d_in,
    steps: Math.max(1, turnsBefore(steps, adversary) * adversary.stepsPerStep),
  };
  const place = `${where}, "adversary.train"`;
  const train = parseTrainConfig(value, place);
  const problem = adversaryProblem(train);
  if (problem !== undefined) throw conflictingOptions(place, problem);
  return { ...config, adversary: { ...adversary, train } };
}

/** A meta-SAE reads decoder rows and nothing else. */
function adversaryProblem(train: TrainConfig): string | undefined {
  const other = (["d_out", "adversary", "endToEnd", "attribution"] as const).find(
    (key) => train[key] !== null,
  );
  if (other !== undefined) return `"${other}" cannot be had by a meta-SAE that is an adversary`;
  return unscaled(train, "an adversary");
}

/** What comes from outside of the SAE is in the units of activations. */
function unscaled({ normalizeActivations: { kind } }: TrainConfig, what: string) {
  return kind === "none" || kind === "scale"
    ? undefined
    : `"normalizeActivations.kind" is "${kind}", but ${what} can only have "none" or "scale"`;
}

type Issue = v.InferIssue<typeof trainSchema>;

function asUserError(issue: Issue, where: string): Error {
  const path = issue.path ?? [];
  const key = path.map((item) => String(item.key)).join(".");
  if (issue.type === "strict_object" && issue.expected === "never") {
    return unknownOption(where, key, path.length === 1 ? optionsOf(path[0]?.input) : []);
  }
  const found = path.length === 0 ? issue.input : path.at(-1)?.value;
  return badTrainConfig({ where, key: key || "the config", found, expected: expectation(issue) });
}

/** Names of the options that an architecture has. */
function optionsOf(config: unknown): string[] {
  const { architecture } = config as { architecture?: unknown };
  const schema = trainSchema.options.find(
    ({ entries }) => entries.architecture.literal === architecture,
  );
  return Object.keys(schema?.entries ?? {});
}

/** Our own words where there are some, else the schema's list of alternatives: `("a" | "b")`. */
function expectation({ message, expected }: Issue): string {
  if (!message.startsWith("Invalid ")) return message;
  if (expected === "Object") return "an object";
  const alternatives = /^\((.*)\)$/.exec(expected ?? "")?.[1]?.split(" | ");
  return alternatives ? `one of ${alternatives.join(", ")}` : (expected ?? "another value");
}

/** Options that contradict each other whatever the architecture. */
function commonProblem(config: TrainConfig): string | undefined {
  const { d_in, d_out, skip, tied, applyBDecToInput, init, normalizeActivations } = config;
  if (d_out !== null) {
    if (applyBDecToInput)
      return `"applyBDecToInput" is true, but b_dec of a transcoder belongs to its output; set it to false`;
    if (tied)
      return `"tied" is true, but a transcoder ("d_out" is ${d_out}) decodes into another space`;
    if (init.encoder === "decoder" && d_out !== d_in)
      return `"init.encoder" is "decoder", but rows of W_enc are ${d_in} and rows of W_dec ${d_out} wide; set it to "own"`;
    if (!["none", "scale"].includes(normalizeActivations.kind))
      return `"normalizeActivations.kind" is "${normalizeActivations.kind}", but a transcoder can only have "none" or "scale"`;
  }
  if (skip && d_out === null)
    return `"skip" is true, but only a transcoder ("d_out") has a path beside its latents`;
  return objectiveProblem(config) ?? scheduleProblem(config);
}

function objectiveProblem(config: TrainConfig): string | undefined {
  const { endToEnd, attribution, adversary, normalizeActivations, architecture } = config;
  if (endToEnd !== null) {
    const { kl, downstream, mse } = endToEnd;
    if (kl + downstream === 0)
      return `"endToEnd" has neither "kl" nor "downstream", so nothing is end to end; set one of them above 0`;
    if (architecture === "matryoshka" && mse === 0)
      return `"endToEnd.mse" is 0, but only the squared error trains the inner levels of a Matryoshka SAE; set it above 0`;
    const problem = unscaled(config, `end-to-end training`);
    if (problem !== undefined) return problem;
  }
  if (attribution !== null) {
    const problem = unscaled(config, `a penalty on attribution`);
    if (problem !== undefined) return problem;
  }
  if (adversary !== null && normalizeActivations.kind === "covariance_whitening")
    return `"normalizeActivations.kind" is "covariance_whitening", which turns the directions that "adversary" reads; use another`;
  return undefined;
}

function scheduleProblem({ lrSchedule: schedule, steps, lr }: TrainConfig): string | undefined {
  const { warmUpSteps } = schedule;
  if (schedule.kind === "trapezoid") {
    const { decayStart, restartEvery } = schedule;
    if (warmUpSteps >= steps)
      return `"lrSchedule.warmUpSteps" is ${warmUpSteps}, but the run has ${steps} steps; the learning rate would never be reached`;
    if (decayStart !== null && restartEvery !== null)
      return `"lrSchedule.decayStart" and "lrSchedule.restartEvery" exclude each other`;
    if (decayStart !== null && (decayStart >= steps || decayStart <= warmUpSteps))
      return `"lrSchedule.decayStart" is ${decayStart}; it must lie after the warm-up (${warmUpSteps} steps) and before the end (${steps} steps)`;
    return undefined;
  }
  const { decaySteps, main, lrEnd } = schedule;
  if (warmUpSteps + decaySteps > steps)
    return `"lrSchedule" has ${warmUpSteps} steps of warm-up and ${decaySteps} of decay, but the run has ${steps} steps`;
  if (main !== "constant" && decaySteps > 0 && lrEnd === 0)
    return `"lrSchedule.lrEnd" is 0, so "lrSchedule.decaySteps" would decay from 0 to 0; set one of them`;
  if (main !== "constant" && lrEnd !== null && lrEnd > lr)
    return `"lrSchedule.lrEnd" is ${lrEnd}, above "lr", ${lr}`;
  return undefined;
}
