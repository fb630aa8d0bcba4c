/** The verbs about causes: `attribute` and `steer`. */
import { type Command, InvalidArgumentError } from "commander";
import { UserError } from "../base/errors.ts";
import { readSafetensors } from "../encoding/safetensors.ts";
import { readBytes, readText } from "../files/disk.ts";
import type { ContextSource } from "../protocol/context.ts";
import type {
  AttributionTarget,
  SteerMode,
  SteerStep,
  TokenName,
  TokenPositions,
} from "../protocol/interventions.ts";
import type { SaeInfo } from "../protocol/reader.ts";
import { toFloat32 } from "../tensor/half.ts";
import type { Engine } from "./engine.ts";
import { printAttribution, printSteering } from "./verbs/print-causes.ts";

/** What the verbs need of the program around them. */
export interface CauseVerbs {
  readonly verb: (name: string, description: string) => Command;
  readonly withEngine: <T>(options: never, work: (engine: Engine) => Promise<T>) => Promise<T>;
  readonly bundled: { readonly lm: string; readonly saes: readonly { readonly path: string }[] };
  readonly signal: AbortSignal;
}

/** Adds the verbs. */
export function addCauseVerbs(verbs: CauseVerbs): void {
  addAttribute(verbs);
  addSteer(verbs);
}

function addAttribute(verbs: CauseVerbs): void {
  const command = verbs.verb("attribute", "say which latents a next token hangs on");
  modelOptions(command, verbs)
    .option("--position <n>", "position whose next token is attributed; -1 is the last", whole, -1)
    .option("--next", "attribute the token that follows in the text, not the most likely one")
    .option("--target <text>", "attribute this next token (one token, often with a blank in front)")
    .option("--minus <text>", "attribute the difference to this token's logit")
    .option("--direction <file>", "attribute the projection on a direction: FILE or FILE#TENSOR")
    .option("--direction-hook <name>", "hook point at which the direction is read")
    .option(
      "--positions <list>",
      "positions asked about: all (but the first), or as 0,7-9,-1",
      positions,
      "all",
    )
    .option("--method <name>", "gradient or integrated", method, "integrated")
    .option("--steps <n>", "steps of integrated gradients", count, 16)
    .option("--top <n>", "latents shown", count, 20)
    .option("--ablate <n>", "check the n strongest by really ablating them", whole, 0)
    .action((options) =>
      verbs.withEngine(options as never, async (engine) => {
        const { lm, sae, meta } = await loadParts(engine, verbs, options);
        if (!sae)
          throw new UserError("no-sae", "attribution is to the latents of an SAE: give --sae");
        const found = await engine.attribute(
          {
            lm,
            sae: sae.id,
            ...(meta ? { meta: meta.id } : {}),
            context: contextOf(options),
            position: options.position,
            target: targetOf(options, sae),
            positions: options.positions,
            method: options.method,
            steps: options.steps,
            top: options.top,
            ablations: options.ablate,
          },
          verbs.signal,
        );
        print(
          options.json
            ? JSON.stringify({ schemaVersion: 1, ...found })
            : printAttribution(found, { sae: sae.labels, meta: meta?.labels ?? {} }),
        );
      }),
    );
}

function addSteer(verbs: CauseVerbs): void {
  const command = verbs.verb("steer", "continue a text with latents or directions changed");
  modelOptions(command, verbs)
    .option("--latent <n=amount>", "latent and amount, as 123=+8; repeatable", collect, [])
    .option("--meta-latent <n=amount>", "meta-latent and amount; repeatable", collect, [])
    .option("--direction <file=amount>", "direction FILE or FILE#TENSOR and amount", collect, [])
    .option("--towards <texts...>", "texts whose mean, less that of --away, is a direction")
    .option("--away <texts...>", "texts that the direction leads away from")
    .option("--amount <x>", "amount of the direction from --towards and --away", real, 1)
    .option("--hook <name>", "hook point of directions where no SAE is given")
    .option("--mode <name>", "add, clamp, scale or ablate", mode, "add")
    .option(
      "--positions <list>",
      "all (but the first), prompt, generated, or as 0,7-9,-1",
      positions,
      "all",
    )
    .option("--without-error", "leave out what the SAE does not explain, where it steers")
    .option("--max-new-tokens <n>", "tokens to write at most", whole, 32)
    .option("--temperature <t>", "0 for greedy", real, 0)
    .option("--seed <n>", "seed for sampling", whole, 0)
    .action((options) =>
      verbs.withEngine(options as never, async (engine) => {
        const { lm, sae, meta } = await loadParts(engine, verbs, options);
        const { maxNewTokens, temperature, seed, hook } = options;
        const found = await engine.steer(
          {
            lm,
            ...(sae ? { sae: sae.id } : {}),
            ...(meta ? { meta: meta.id } : {}),
            ...(hook ? { hook } : {}),
            context: contextOf(options),
            steps: stepsOf(options),
            positions: options.positions,
            keepError: options.withoutError !== true,
            maxNewTokens,
            temperature,
            seed,
          },
          verbs.signal,
        );
        print(options.json ? JSON.stringify(steeringJson(found)) : printSteering(found));
      }),
    );
}

interface ModelOptions {
  readonly lm: string;
  readonly sae?: string;
  readonly meta?: string;
  readonly hook?: string;
}

function modelOptions(command: Command, { bundled }: CauseVerbs): Command {
  return command
    .option("--lm <path>", "language model: folder, .gguf file or Hub id", bundled.lm)
    .option("--sae <path>", "SAE: folder, file or Hub id")
    .option("--meta <path>", "meta-SAE of that SAE")
    .option("--text <text>", "text; BOS as the SAE has it")
    .option("--file <path>", "file with the text");
}

/** Loads what was named; the demo's SAE for the demo's model, unless only a hook point is asked for. */
async function loadParts(
  engine: Engine,
  { bundled }: CauseVerbs,
  options: ModelOptions,
): Promise<{ lm: string; sae?: SaeInfo; meta?: SaeInfo }> {
  const { id: lm } = await engine.loadLm({ path: options.lm });
  const isDemo = options.lm === bundled.lm && options.hook === undefined;
  const path = options.sae ?? (isDemo ? bundled.saes[0]?.path : undefined);
  const sae = path === undefined ? undefined : await engine.loadSae({ path, lm });
  const meta =
    options.meta === undefined ? undefined : await engine.loadSae({ path: options.meta });
  return { lm, ...(sae ? { sae } : {}), ...(meta ? { meta } : {}) };
}

function contextOf({ text, file }: { text?: string; file?: string }): ContextSource {
  if ((text === undefined) === (file === undefined))
    throw new UserError("usage", "give exactly one of --text and --file");
  const read = text ?? readText(file!);
  return { kind: "plain", parts: [{ text: read, fileStart: 0 }] };
}

function targetOf(
  options: {
    next?: boolean;
    target?: string;
    minus?: string;
    direction?: string;
    directionHook?: string;
  },
  sae: SaeInfo,
): AttributionTarget {
  const given = [options.next, options.target, options.direction].filter((it) => it !== undefined);
  if (given.length > 1)
    throw new UserError("usage", "give at most one of --next, --target and --direction");
  if (options.direction !== undefined) {
    const hook = options.directionHook ?? sae.hookOut ?? sae.hook;
    return { kind: "direction", hook, vector: readDirection(options.direction) };
  }
  const minus: { minus?: TokenName } = options.minus === undefined ? {} : { minus: { text: options.minus } }; // prettier-ignore
  if (options.target !== undefined)
    return { kind: "token", token: { text: options.target }, ...minus };
  return { kind: options.next ? "next" : "top", ...minus };
}

function stepsOf(options: {
  mode: SteerMode;
  latent: readonly string[];
  metaLatent: readonly string[];
  direction: readonly string[];
  towards?: readonly string[];
  away?: readonly string[];
  amount: number;
}): SteerStep[] {
  const { mode: how } = options;
  const step = (target: SteerStep["target"], amount: number): SteerStep => ({
    target,
    mode: how,
    amount,
  });
  const named = (kind: "latent" | "meta-latent", list: readonly string[]): SteerStep[] =>
    list.map((text) => {
      const { name, amount } = split(text, how);
      if (!/^\d+$/.test(name))
        throw new UserError("usage", `${JSON.stringify(text)} is no ${kind}: give it as 123=+8`);
      return step({ kind, latent: Number(name) }, amount);
    });
  const steps = [
    ...named("latent", options.latent),
    ...named("meta-latent", options.metaLatent),
    ...options.direction.map((text) => {
      const { name, amount } = split(text, how);
      return step({ kind: "direction", vector: readDirection(name) }, amount);
    }),
  ];
  const { towards, away } = options;
  if ((towards === undefined) !== (away === undefined))
    throw new UserError("usage", "a difference of means needs both --towards and --away");
  if (towards && away) steps.push(step({ kind: "contrast", towards, away }, options.amount));
  return steps;
}

/** `name=amount`; the amount may be left out where it is not used. */
function split(text: string, how: SteerMode): { name: string; amount: number } {
  const at = text.lastIndexOf("=");
  const name = at < 0 ? text : text.slice(0, at);
  if (at < 0 && how === "ablate") return { name, amount: 0 };
  const amount =
    at < 0 || text.slice(at + 1).trim() === "" ? Number.NaN : Number(text.slice(at + 1));
  if (!Number.isFinite(amount))
    throw new UserError("usage", `${JSON.stringify(text)} has no amount: give it as ${name}=+8`);
  return { name, amount };
}

/** A vector out of a safetensors file: the tensor of the given name, or the only one. */
function readDirection(place: string): Float32Array {
  const at = place.lastIndexOf("#");
  const [file, name] = at < 0 ? [place] : [place.slice(0, at), place.slice(at + 1)];
  const tensors = readSafetensors(readBytes(file));
  const found = name === undefined && tensors.size === 1 ? [...tensors.values()][0] : tensors.get(name ?? ""); // prettier-ignore
  if (!found) {
    const names = [...tensors.keys()].join(", ");
    throw new UserError(
      "no-direction",
      `${file} has ${name === undefined ? "several tensors" : `no tensor ${name}`}; name one as ${file}#TENSOR: ${names}`,
    );
  }
  return toFloat32(found);
}

function steeringJson(found: Awaited<ReturnType<Engine["steer"]>>): object {
  const { original, steered, divergence, originalLoss, steeredLoss } = found;
  const plain = (side: typeof original): object => ({
    ...side,
    ids: [...side.ids],
    loss: Number.isNaN(side.loss) ? null : side.loss,
  });
  return {
    schemaVersion: 1,
    ...found,
    original: plain(original),
    steered: plain(steered),
    lossChange: Number.isNaN(original.loss) ? null : steered.loss - original.loss,
    kl: {
      mean: divergence.reduce((sum, value) => sum + value, 0) / divergence.length,
      last: divergence.at(-1),
    },
    divergence: list(divergence),
    originalLoss: list(originalLoss),
    steeredLoss: list(steeredLoss),
  };
}

function list(values: Float32Array | Float64Array): (number | null)[] {
  return Array.from(values, (value) => (Number.isNaN(value) ? null : value));
}

/** `all`, `prompt`, `generated`, or positions and ranges (both ends count), separated by commas. */
function positions(value: string): TokenPositions {
  if (value === "all" || value === "prompt" || value === "generated") return value;
  return value.split(",").map((part) => {
    const found = /^\s*(-?\d+)(?:-(-?\d+))?\s*$/.exec(part);
    if (!found) throw new InvalidArgumentError("expected all, prompt, generated, or as 3,7-9,-1.");
    const from = Number(found[1]);
    const to = found[2] === undefined ? from : Number(found[2]);
    return [from, to + 1] as const;
  });
}

function collect(value: string, all: readonly string[]): string[] {
  return [...all, value];
}

function mode(value: string): SteerMode {
  return oneOf(value, ["add", "clamp", "scale", "ablate"]);
}

function method(value: string): "gradient" | "integrated" {
  return oneOf(value, ["gradient", "integrated"]);
}

function oneOf<const T extends string>(value: string, names: readonly T[]): T {
  const found = names.find((name) => name === value);
  if (found === undefined) throw new InvalidArgumentError(`expected one of ${names.join(", ")}.`);
  return found;
}

function count(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1)
    throw new InvalidArgumentError("expected a whole number from 1.");
  return number;
}

function whole(value: string): number {
  const number = Number(value);
  if (value.trim() === "" || !Number.isInteger(number))
    throw new InvalidArgumentError("expected a whole number.");
  return number;
}

function real(value: string): number {
  const number = Number(value);
  if (value.trim() === "" || !Number.isFinite(number))
    throw new InvalidArgumentError("expected a number.");
  return number;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
