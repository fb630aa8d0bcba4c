/** Failures of the lm room that a user can act on. */
import { UserError } from "../base/errors.ts";

/** A hook point's name that no spelling of ours or a peer's matches. */
export function unknownHookName(name: string, nearest: readonly string[]): UserError {
  const hint =
    nearest.length > 0
      ? `did you mean ${nearest.join(" or ")}?`
      : "names are spelled as in TransformerLens, e.g. blocks.0.hook_resid_post";
  return new UserError("unknown-hook-point", `unknown hook point ${JSON.stringify(name)}: ${hint}`);
}

/** A layer that the model does not have. */
export function unknownLayer(layer: number, model: string, n_layers: number): UserError {
  return new UserError(
    "unknown-hook-point",
    `no layer ${layer} in ${model}: it has layers 0 to ${n_layers - 1}`,
  );
}

/** A kind of hook point that this architecture has no place for. */
export function absentHook(hook: string, model: string, reason: string): UserError {
  return new UserError("unknown-hook-point", `no ${hook} in ${model}: ${reason}`);
}

/** Neither a Hugging Face folder nor a .gguf file. */
export function noModelHere(path: string, found: string): UserError {
  return new UserError(
    "no-language-model",
    `${path}: ${found}; a language model is a folder with config.json and model.safetensors, or a .gguf file`,
  );
}

/** A model type that no architecture of ours reads. */
export function unknownFamily(file: string, found: string, known: readonly string[]): UserError {
  return new UserError(
    "unknown-architecture",
    `${file}: model type ${JSON.stringify(found)} is not supported; supported are ${known.join(", ")}`,
  );
}

/** A config entry that is missing or of the wrong kind. */
export function badConfig(file: string, key: string, found: unknown, expected: string): UserError {
  const what = found === undefined ? "missing" : JSON.stringify(found);
  return new UserError("bad-config", `${file}: ${key} is ${what}, expected ${expected}`);
}

/** A tensor whose shape is not what the config says. */
export function wrongWeightShape(
  file: string,
  name: string,
  found: readonly number[],
  expected: readonly number[],
): UserError {
  return new UserError(
    "wrong-weight-shape",
    `${file}: ${name} is [${found.join(", ")}], expected [${expected.join(", ")}] by the model's config`,
  );
}

/** Weights with NaN or infinite entries. */
export function nonFiniteWeight(
  file: string,
  name: string,
  index: number,
  value: number,
): UserError {
  return new UserError(
    "non-finite-weight",
    `${file}: ${name} has ${value} at element ${index}; the file is damaged or was saved from a diverged run`,
  );
}

/** A block whose output is NaN or infinite although every weight is finite. */
export function nonFiniteOutput(model: string, layer: number, position: number): UserError {
  return new UserError(
    "non-finite-output",
    `layer ${layer} of ${model} is the first whose output has NaN or Inf, at position ${position}, although its weights are finite: activations overflow there`,
  );
}

/** More tokens than the model has positions. */
export function contextTooLong(model: string, tokens: number, n_ctx: number): UserError {
  return new UserError(
    "context-too-long",
    `${tokens} tokens are more than ${model} can read: its context is ${n_ctx} tokens`,
  );
}

/** A token id outside the embedding. */
export function unknownTokenId(model: string, id: number, d_vocab: number): UserError {
  return new UserError(
    "unknown-token-id",
    `token id ${id} is not in ${model}: its ids are 0 to ${d_vocab - 1}`,
  );
}

/** A model folder without a tokenizer. */
export function noTokenizer(path: string): UserError {
  return new UserError(
    "no-tokenizer",
    `${path}: no tokenizer.json; put the model's tokenizer.json there, or give token ids instead of text`,
  );
}

/** Generation from nothing. */
export function emptyPrompt(): UserError {
  return new UserError(
    "empty-prompt",
    "nothing to continue: the prompt has no tokens and this model no BOS",
  );
}

/** Double precision on a device without it. */
export function noDoubles(device: string): UserError {
  return new UserError(
    "no-float64",
    `the device ${device} does not compute in float64; choose cpu`,
  );
}
