/** What a format answers for itself: whether a place holds an SAE of its layout, and what is in it. */
import type { SaeConfig } from "../config.ts";
import type { Facts } from "../facts.ts";
import type { Located } from "../parameter.ts";
import type { SaePlace } from "../place.ts";

/** An SAE as a format found it: facts, and where each parameter is. */
export interface FoundSae {
  readonly config: SaeConfig;
  /**
   * Parameters by our name. Beside the architecture's own there may be `preScale [d_sae]` (multiplies the
   * pre-activations) and `decodeScale [d_sae]` (multiplies the activations before W_dec).
   */
  readonly located: Readonly<Record<string, Located | undefined>>;
  /** What a user should see beside the SAE's name. */
  readonly badges: readonly string[];
}

/** One layout on disk. */
export interface Format {
  readonly name: string;
  /** Whether the place holds this layout, judged by file names first and tensor names after. */
  matches(place: SaePlace): boolean;
  /** Reads config and places of the tensors; a `UserError` for what is missing or contradicts itself. */
  read(place: SaePlace, facts: Facts): FoundSae;
}

/** The badge of a format that was read from documentation only. */
export const uncheckedLayout = "layout not checked against real weights";
