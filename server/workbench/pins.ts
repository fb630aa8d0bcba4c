/** Latents whose heat the user asked to see. */
import type { Workbench } from "./workbench.ts";

interface Name {
  readonly sae: string;
  readonly latent: number;
}

/** Pins a latent, behind those that are pinned already. */
export function pin(workbench: Workbench, { sae, latent }: Name): void {
  change(workbench, [...others(workbench, { sae, latent }), { sae, latent }]);
}

/** Unpins a latent; one that is not pinned is no mistake. */
export function unpin(workbench: Workbench, name: Name): void {
  change(workbench, others(workbench, name));
}

function others({ pinned }: Workbench, { sae, latent }: Name): Workbench["pinned"] {
  return pinned.filter((it) => it.sae !== sae || it.latent !== latent);
}

function change(workbench: Workbench, pinned: Workbench["pinned"]): void {
  workbench.pinned = pinned;
  workbench.options.onChanged([...workbench.documents.values()]);
}
