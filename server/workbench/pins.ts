/** Latents whose heat the user asked to see: up to four, each in a colour of its own. */
import { UserError } from "../base/errors.ts";
import type { PinnedLatent } from "../protocol/page.ts";
import { maxPins, type Pin, type ShownPin, tooManyPins } from "../protocol/pins.ts";
import { labelOf } from "./labels.ts";
import type { Workbench } from "./workbench.ts";

interface Name {
  readonly sae: string;
  readonly latent: number;
}

/** Pins a latent in the first free colour; one that is pinned already keeps its own. */
export function pin(workbench: Workbench, { sae, latent }: Name): void {
  const { pinned } = workbench;
  if (pinned.some((it) => it.sae === sae && it.latent === latent)) return;
  if (pinned.length >= maxPins)
    throw new UserError(
      tooManyPins,
      `${maxPins} latents are pinned (${pinned.map((it) => `#${it.latent}`).join(", ")}), one for each colour: unpin one first`,
    );
  change(workbench, withColours([...pinned, { sae, latent }]));
}

/** Unpins a latent; one that is not pinned is no mistake. The others keep their colours. */
export function unpin(workbench: Workbench, { sae, latent }: Name): void {
  const { pinned } = workbench;
  change(
    workbench,
    pinned.filter((it) => it.sae !== sae || it.latent !== latent),
  );
}

/** Latents with colours: those that have one keep it, the others get the first that are free; what is too many is left out. */
export function withColours(latents: readonly (PinnedLatent & { colour?: number })[]): Pin[] {
  const taken = new Set(latents.map((it) => it.colour));
  const free = Array.from({ length: maxPins }, (_, at) => at + 1).filter((it) => !taken.has(it));
  return latents.slice(0, maxPins).map((it) => ({ ...it, colour: it.colour ?? free.shift() ?? 1 }));
}

/** Pins with labels and the largest activations seen. */
export function shownPins(workbench: Workbench): ShownPin[] {
  const { pinned, models, latentsFile } = workbench;
  return pinned.map((it: Pin & { label?: string }) => {
    const sae = models
      .allReady()
      .flatMap(({ saes, metas }) => [...saes, ...metas])
      .find(({ id }) => id === it.sae);
    const label = it.label ?? (sae && labelOf(latentsFile, sae, it.latent));
    const max = models.maxActivation(it.sae, it.latent);
    return { ...it, ...(label === undefined ? {} : { label }), max };
  });
}

function change(workbench: Workbench, pinned: Pin[]): void {
  workbench.pinned = pinned;
  workbench.options.onChanged([...workbench.documents.values()]);
}
