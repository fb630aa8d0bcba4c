/** Loading an SAE by its path, as hovers would: under the name and with the facts that `latents.jsonc` or the bundle give it. */
import type { SaeInfo } from "../protocol/reader.ts";
import type { Workbench } from "./workbench.ts";

/** The SAE in the reader's present life, checked against a model that is loaded. */
export function loadNamed(
  { reader, options, latentsFile }: Workbench,
  path: string,
  lm: string,
): Promise<SaeInfo> {
  const known = [...options.bundled.saes, ...(latentsFile?.saes ?? [])];
  const { name, facts } = known.find((it) => it.path === path) ?? {};
  return reader.call("loadSae", {
    path,
    lm,
    pickles: options.trusted,
    ...(name === undefined ? {} : { id: name }),
    ...(facts ? { facts } : {}),
  });
}
