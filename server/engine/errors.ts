import { UserError } from "../base/errors.ts";

/** A method was asked about something that is not loaded. */
export function notLoaded(kind: "language model" | "SAE", id: string, loaded: string[]): UserError {
  const have = loaded.length === 0 ? "nothing is loaded" : `loaded: ${loaded.join(", ")}`;
  return new UserError("not-loaded", `${kind} ${id} is not loaded (${have}); load it first`);
}

/** An SAE's width and the model's do not agree. */
export function widthMismatch(
  sae: { id: string; d_in: number; hook: string },
  lm: { id: string; width: number },
): UserError {
  return new UserError(
    "sae-of-another-model",
    `SAE ${sae.id} reads vectors of width ${sae.d_in}, but ${sae.hook} of ${lm.id} has width ${lm.width}: this SAE belongs to another model or hook point; choose the model it was trained on`,
  );
}

/** A meta-SAE was asked to read text. */
export function metaReadsNoText(id: string, parent: string): UserError {
  return new UserError(
    "meta-sae-reads-no-text",
    `${id} is a meta-SAE: it reads the decoder rows of ${parent}, not text; load it beside ${parent} and it shows up under that SAE's latents`,
  );
}

/** SAEs of different BOS policies were asked for in one reading. */
export function mixedBosPolicies(ids: readonly string[]): UserError {
  return new UserError(
    "mixed-bos",
    `${ids.join(" and ")} differ in whether BOS stands in front; read them one after the other`,
  );
}

/** No text of the bundled sample is left to check an SAE on. */
export function noSelfCheckText(path: string): UserError {
  return new UserError("no-self-check-text", `no sample text at ${path}; reinstall the extension`);
}

/** An SAE was asked for breakdowns that only a meta-SAE has. */
export function notAMetaSae(id: string): UserError {
  return new UserError(
    "not-a-meta-sae",
    `${id} does not say whose decoder rows it reads; name its parent, or choose a meta-SAE`,
  );
}
