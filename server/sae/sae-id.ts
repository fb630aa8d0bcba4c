/** Readable ids of local SAEs. */

/** Folder names that say nothing about the SAE in them. */
const empty = new Set(["sae", "checkpoints", "final"]);

/** Names of weight files that say nothing, without their ending. */
const emptyFiles = new Set(["ae", "params", "sae_weights", "state_dict", ...empty]);

/**
 * The shortest trailing part of a path that is no other loaded SAE's, skipping the names `sae`, `checkpoints` and
 * `final`: `/runs/wide/sae` is `wide`, or `runs/wide` beside another `wide`.
 */
export function saeId(path: string, others: readonly string[]): string {
  const parts = partsOf(path);
  const rest = others.map((other) => partsOf(other).join("/"));
  for (let n = 1; n < parts.length; n++) {
    const id = parts.slice(-n).join("/");
    if (!rest.some((other) => other === id || other.endsWith(`/${id}`))) return id;
  }
  return parts.join("/");
}

/** The parts of a path that say something; the last part stays if none would be left. */
function partsOf(path: string): string[] {
  const all = path.split(/[/\\]+/).filter((part) => part !== "" && part !== ".");
  const last = all.pop() ?? path;
  const stem = last.replace(/\.(safetensors|pth?|npz)$/, "");
  const says = all.filter((part) => !empty.has(part));
  if (!(stem === last ? empty : emptyFiles).has(stem)) says.push(stem);
  return says.length > 0 ? says : [stem];
}
