/** Words of a document with what prepared tasks say of them, from the readings that are there; nothing is computed. */
import type { TokenAbsorption } from "../protocol/absorption.ts";
import type { ContextReading } from "../protocol/reader.ts";
import type { ContextState, OpenDocument } from "./documents.ts";
import { tokenRange } from "./positions.ts";

/** A word at its place. */
export interface JudgedWord {
  readonly sae: string;
  readonly verdict: TokenAbsorption;
  readonly startOffset: number;
  readonly endOffset: number;
  /** The token's text. */
  readonly text: string;
}

/** All judged words of a context's reading, of every SAE in it or of one. */
export function judgedIn(state: ContextState, reading: ContextReading, sae?: string): JudgedWord[] {
  const rows = Object.entries(reading.saes).filter(([id]) => sae === undefined || id === sae);
  return rows.flatMap(([id, { absorption = [] }]) =>
    absorption.flatMap((verdict) => {
      const range = tokenRange(state.source, reading.tokens, verdict.token);
      const text = reading.tokens.texts[verdict.token] ?? "";
      return range ? [{ sae: id, verdict, text, ...range }] : [];
    }),
  );
}

/** Words of a document that were absorbed. */
export function absorbedWords({ contexts }: OpenDocument): JudgedWord[] {
  return contexts
    .flatMap((state) =>
      [...state.readings.values()].flatMap(({ value }) => (value ? judgedIn(state, value) : [])),
    )
    .filter(({ verdict }) => verdict.verdict === "absorbed");
}

/** The latent that carries most of a word's projection and is no main one. */
export function absorberOf({ main = [], strongest = [] }: TokenAbsorption): number | undefined {
  return strongest.find((it) => !main.some(({ latent }) => latent === it.latent))?.latent;
}
