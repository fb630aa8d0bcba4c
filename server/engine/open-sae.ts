/** An SAE of a file under its name, with its hook points understood. */
import { parseHookPoint } from "../lm/hook-points.ts";
import type { Device } from "../runtime/device.ts";
import { loadSae } from "../sae/load.ts";
import { openSae } from "../sae/sae.ts";
import { checkAgainstModel } from "./check-against-model.ts";
import type { Loaded, LoadedSae } from "./loaded.ts";
import { parentId } from "./names.ts";

/** How it is opened. */
interface OpenOptions {
  /** The model whose width and layers it is checked against. */
  readonly lm?: string;
  /** Answers to what its format does not store. */
  readonly facts?: Readonly<Record<string, string | number | boolean>>;
  /** Whether Python's pickles may be read (default). */
  readonly pickles?: boolean;
}

/** Opens it on a device; nothing is kept here. */
export async function openNamedSae(
  { path, id }: { readonly path: string; readonly id: string },
  { lm: lmId, facts = {}, pickles = true }: OpenOptions,
  { loaded, device }: { readonly loaded: Loaded; readonly device: Device },
): Promise<LoadedSae> {
  const description = await loadSae(path, { facts, pickles });
  const lm = lmId === undefined ? undefined : loaded.lm(lmId);
  if (lm) checkAgainstModel(description.config, id, lm);
  const sae = await openSae(description, device);
  const { config } = description;
  const metaOf = config.metaOf && parentId(config.metaOf, loaded);
  return {
    id,
    sae,
    hook: metaOf ? { kind: "embed" } : parseHookPoint(config.hook),
    ...(config.hookOut ? { hookOut: parseHookPoint(config.hookOut) } : {}),
    info: {
      id,
      path,
      architecture: config.architecture,
      format: sae.format,
      d_in: config.d_in,
      d_out: config.d_out,
      d_sae: config.d_sae,
      hook: config.hook,
      ...(config.hookOut ? { hookOut: config.hookOut } : {}),
      prependBos: config.prependBos,
      ...(config.n_ctx === undefined ? {} : { n_ctx: config.n_ctx }),
      ...(metaOf ? { metaOf } : {}),
      declared: config.declared,
      badges: sae.badges,
      labels: description.labels,
    },
  };
}
