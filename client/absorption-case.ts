/** The absorbed word that an action of the editor's problems names. */
import type { AbsorptionCase } from "../server/protocol/occurrences.ts";
import { asRecord } from "./client-parts.ts";

/** A command's argument as a case; undefined if it is none. */
export function absorptionCase(argument: unknown): AbsorptionCase | undefined {
  const { uri, startOffset, sae, task, setting, label } = asRecord(argument);
  const texts = [uri, sae, task, label].every((it) => typeof it === "string");
  const isSetting = setting === "prompts" || setting === "text";
  if (!texts || !isSetting || typeof startOffset !== "number") return undefined;
  return { uri, startOffset, sae, task, setting, label } as AbsorptionCase;
}
