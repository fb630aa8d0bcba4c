/** What can be wrong with an SAE's files, its facts or its inputs. */
import { UserError } from "../base/errors.ts";

/** No format that we read has these files or tensors. */
export function unknownSaeFormat(path: string, found: readonly string[]): UserError {
  const what = found.length === 0 ? "nothing" : some(found);
  return new UserError(
    "unknown-sae-format",
    `${path} holds no SAE that can be read: found ${what}; expected one of: cfg.json with sae_weights.safetensors (SAELens) or sae.safetensors (sparsify), ` +
      "ae.pt with config.json (dictionary_learning), params.npz or params.safetensors (Gemma Scope), hyperparams.json (Llama Scope), or a .pt file of a known layout",
  );
}

/** A config names an architecture that we do not have; it is never read as another one. */
export function unknownArchitecture(
  place: { file: string; key: string },
  found: unknown,
  known: readonly string[],
): UserError {
  return new UserError(
    "unknown-sae-architecture",
    `${place.file}: "${place.key}" is ${shown(found)}; readable are ${known.join(", ")}: convert the SAE to one of these`,
  );
}

/** A tensor that the architecture needs is absent. */
export function missingParameter(
  file: string,
  key: string,
  names: readonly string[],
  needer: string,
): UserError {
  return new UserError(
    "missing-sae-tensor",
    `${file} has no tensor "${key}", which ${needer} needs; it has ${names.length === 0 ? "none" : some(names)}: the file is incomplete or of another architecture`,
  );
}

/** A tensor's shape is not what config and architecture say. */
export function wrongParameterShape(place: {
  file: string;
  key: string;
  found: readonly number[];
  expected: readonly (number | string)[];
}): UserError {
  const { file, key, found, expected } = place;
  return new UserError(
    "wrong-sae-shape",
    `${file}: tensor "${key}" has shape [${found.join(", ")}], expected [${expected.join(", ")}] from the other sizes of this SAE: config and weights belong to different SAEs, or the layout is another one`,
  );
}

/** A value of a config file is not of the kind that its key says. */
export function badConfigValue(place: {
  file: string;
  key: string;
  found: unknown;
  expected: string;
}): UserError {
  const { file, key, found, expected } = place;
  const what = found === undefined ? "is missing" : `is ${shown(found)}`;
  return new UserError("bad-sae-config", `${file}: "${key}" ${what}; expected ${expected}`);
}

/** A setting whose effect is not implemented: reading on would give wrong numbers. */
export function unsupportedSetting(
  place: { file: string; key: string; found: unknown },
  advice: string,
): UserError {
  return new UserError(
    "unsupported-sae-setting",
    `${place.file}: "${place.key}" is ${shown(place.found)}, which is not supported; ${advice}`,
  );
}

/** Facts that the format stores nowhere, to be given by key. */
export function factsMissing(
  path: string,
  format: string,
  missing: readonly { key: string; what: string; example: string | number | boolean }[],
): UserError {
  const list = missing.map(({ key, what }) => `${key} (${what})`).join(", ");
  const example = JSON.stringify(
    Object.fromEntries(missing.map(({ key, example }) => [key, example])),
  );
  return new UserError(
    "sae-fact-missing",
    `${path}: the ${format} format does not say ${list}; give it as a fact of this SAE, for example "facts": ${example} beside its path in latents.jsonc`,
  );
}

/** A fact was given under a key that means nothing. */
export function unknownFact(key: string, known: readonly string[]): UserError {
  return new UserError(
    "unknown-sae-fact",
    `there is no fact "${key}" about an SAE; known are ${known.join(", ")}`,
  );
}

/** A fact of the wrong kind. */
export function badFact(key: string, found: unknown, expected: string): UserError {
  return new UserError(
    "bad-sae-fact",
    `the fact "${key}" is ${shown(found)}; expected ${expected}`,
  );
}

/** Weights that are not numbers. */
export function weightsNotFinite(file: string, key: string, at: number, value: number): UserError {
  return new UserError(
    "sae-not-finite",
    `${file}: tensor "${key}" holds ${value} at element ${at}: the training run diverged or the file is damaged; use an earlier checkpoint`,
  );
}

/** BatchTopK's threshold stays at −1 until training has run long enough. */
export function thresholdNotLearned(file: string, found: number): UserError {
  return new UserError(
    "sae-threshold-not-learned",
    `${file}: "threshold" is ${found}, the value it has before training sets it, so which latents are active is undefined; use a later checkpoint`,
  );
}

/** Input of another width, or none at all. */
export function wrongInputShape(dims: readonly number[], d_in: number): UserError {
  return new UserError(
    "wrong-sae-input",
    `the SAE reads vectors of width ${d_in}, but was given an array of shape [${dims.join(", ")}]: it belongs to another model or hook point`,
  );
}

/** Input that is not numbers. */
export function inputNotFinite(row: number): UserError {
  return new UserError(
    "sae-input-not-finite",
    `the activations at token ${row} are not finite numbers: the language model's weights are damaged or overflow in their precision`,
  );
}

/** Decoding needs x where the input was normalised per token. */
export function decodeNeedsInput(normalization: string): UserError {
  return new UserError(
    "sae-decode-needs-input",
    `this SAE normalises its input (${normalization}), so its output can only be scaled back with the input at hand; pass x to decode`,
  );
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

function some(names: readonly string[]): string {
  const rest = names.length - 12;
  return names.slice(0, 12).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}

/** A weight file in Python's pickle format, where such files are not read. */
export function pickleNotRead(path: string): UserError {
  return new UserError(
    "pickle-not-read",
    `${path} is a Python pickle, which is not read in a workspace that you do not trust; trust the workspace, or convert the file to .safetensors`,
  );
}
