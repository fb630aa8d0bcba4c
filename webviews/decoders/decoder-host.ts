/** What models of the pages about decoders and absorption call, and what they tell of failures; nothing of a browser. */
import type { AbsorptionPageMethods } from "../../server/protocol/absorption.ts";
import type { SweepMethods } from "../../server/protocol/absorption-sweep.ts";
import type {
  DecoderHostMethods,
  DecoderPageMethods,
} from "../../server/protocol/decoder-pages.ts";
import type { DecompositionMethods } from "../../server/protocol/decompositions.ts";
import type { OccurrenceMethods } from "../../server/protocol/occurrences.ts";
import type { Caller } from "../../server/protocol/rpc.ts";

/** The table that these pages call. */
export type DecoderTable = DecoderPageMethods &
  AbsorptionPageMethods &
  OccurrenceMethods &
  SweepMethods &
  DecompositionMethods &
  DecoderHostMethods;

/** Where calls go. */
export type DecoderHost = Pick<Caller<DecoderTable>, "call">;

/** A failure for people; undefined for what was cancelled. */
export function problemText(error: unknown): string | undefined {
  if ((error as Error).name === "AbortError") return undefined;
  return error instanceof Error ? error.message : String(error);
}
