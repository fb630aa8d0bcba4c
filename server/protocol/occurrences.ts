/** Where latents and words with a label stand in the files of a workspace: for the absorption page. Part of `PageMethods`. */
import type { TokenAbsorption } from "./absorption.ts";
import type { FilePlace } from "./explorer.ts";

/** What is looked for: where a latent fires, where it was absorbed or absorbs, or words that a prepared task judges by one of its labels. */
export type SoughtPlaces =
  | { readonly kind: "latent"; readonly latent: number }
  | { readonly kind: "absorbed"; readonly latent: number }
  | {
      readonly kind: "label";
      readonly task: string;
      readonly setting: TokenAbsorption["setting"];
      readonly label: string;
      /** Only this word, as its token has it (" for"). */
      readonly word?: string;
    };

/** One place. */
export interface Occurrence extends FilePlace {
  /** Of the latent that is looked for. */
  readonly act?: number;
  /** What is said of the word. */
  readonly verdict?: TokenAbsorption;
}

/** A word of a text that a task judged, as the editor's problems name it and the absorption page opens it. */
export interface AbsorptionCase {
  readonly uri: string;
  readonly startOffset: number;
  readonly sae: string;
  readonly task: string;
  readonly setting: TokenAbsorption["setting"];
  readonly label: string;
}

/** What the absorption page asks about the workspace. */
export interface OccurrenceMethods {
  /**
   * Places in files of the workspace that are analysed, open or not, at most `limit`. `uri`: the document whose models are meant;
   * files that name others are left out and counted.
   */
  occurrences(params: { uri?: string; sae: string; sought: SoughtPlaces; limit: number }): {
    places: Occurrence[];
    total: number;
    files: number;
    /** Files that were not read, each with its reason. */
    leftOut: string[];
    /** Labels of the latents in the verdicts, by their numbers. */
    names: Record<string, string>;
  };
  /** How far the search under way has come. */
  occurrencesProgress(params: Record<string, never>): { share: number; text: string };
  /** How the task of a case was measured in this session, if it was: the page then shows its figures. */
  measuredAs(params: { sae: string; task: string; setting: TokenAbsorption["setting"] }): {
    question?: {
      labels: string;
      setting: TokenAbsorption["setting"];
      texts?: readonly string[];
    };
  };
}
