/** Ids of models and SAEs, and the places that a path or Hub id stands for. */
import { exists } from "../files/disk.ts";
import { findInHubCache } from "../files/hub.ts";
import { UserError } from "../base/errors.ts";
import { saeId } from "../sae/sae-id.ts";
import type { Loaded } from "./loaded.ts";

/** A local folder or `.gguf` file as it is; a Hub id (`org/name`) as its snapshot in the Hub cache. */
export function modelPath(path: string): string {
  return place(
    path,
    "language model",
    "a folder with config.json and model.safetensors, or a .gguf file",
  );
}

/** A local SAE folder or file as it is; `org/name` or `org/name/path/in/repo` in the Hub cache. */
export function saePath(path: string): string {
  return place(path, "SAE", "a folder with its config and weights, or a weights file");
}

/** The shortest trailing path that is unique among the loaded SAEs. */
export function saeIdOf(path: string, loaded: Loaded): string {
  const others = [...loaded.saes.values()].map((sae) => sae.info.path).filter((it) => it !== path);
  return saeId(path, others);
}

/**
 * The loaded SAE that a meta-SAE's `meta_of` means: of this id, or of this path's end if it was given another name; the
 * word itself where none is.
 */
export function parentId(metaOf: string, loaded: Loaded): string {
  if (loaded.saes.has(metaOf)) return metaOf;
  const named = [...loaded.saes].filter(([, { info }]) => saeId(info.path, []) === metaOf);
  return named.length === 1 ? named[0]![0] : metaOf;
}

function place(path: string, kind: string, expected: string): string {
  if (exists(path)) return path;
  const [org, name, ...rest] = path.split("/");
  if (org && name && !path.startsWith("/") && !path.startsWith(".")) {
    const cached = findInHubCache(`${org}/${name}`);
    const found = cached && [cached, ...rest].join("/");
    if (found && exists(found)) return found;
    throw new UserError(
      "not-found",
      `no ${kind} at ${path}: it is neither a path nor in the Hub cache; expected ${expected}, or download ${org}/${name} first`,
    );
  }
  throw new UserError("not-found", `no ${kind} at ${path}; expected ${expected}`);
}
