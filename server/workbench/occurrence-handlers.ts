/** Answers about the places of the workspace's files, by the table `OccurrenceMethods`. */
import { UserError } from "../base/errors.ts";
import type { PreparedAbsorption } from "../protocol/absorption.ts";
import type { OccurrenceMethods } from "../protocol/occurrences.ts";
import type { Handlers } from "../protocol/rpc.ts";
import { modelsInUse } from "./models-in-use.ts";
import { namesIn, occurrences } from "./occurrences.ts";
import type { Workbench } from "./workbench.ts";

type Question = NonNullable<ReturnType<OccurrenceMethods["measuredAs"]>["question"]>;

interface Known {
  progress: { share: number; text: string };
  /** How tasks were measured in this session. */
  readonly questions: Map<string, Question>;
}

const known = new WeakMap<Workbench, Known>();

/** The handlers over a workbench. */
export function occurrenceHandlers(workbench: Workbench): Handlers<OccurrenceMethods> {
  const own = knownOf(workbench);
  return {
    occurrences: async ({ uri, sae: id, sought, limit }, signal) => {
      const { saes } = await modelsInUse(workbench, uri);
      const sae = saes.find((it) => it.id === id);
      if (!sae)
        throw new UserError("sae-not-in-use", `${id} is not in use any more; choose another SAE`);
      const search = { workbench, sae, sought, limit, signal };
      const found = await occurrences(search, (text, share) => (own.progress = { text, share }));
      return { ...found, names: namesIn(found.places, workbench, sae) };
    },
    occurrencesProgress: () => own.progress,
    measuredAs: ({ sae, task, setting }) => {
      const question = own.questions.get(keyOf(sae, task, setting));
      return question ? { question } : {};
    },
  };
}

/** Remembers how a task was measured, so that a case in a text can be shown beside the same figures. */
export function noteMeasured(
  workbench: Workbench,
  { sae, task, setting }: PreparedAbsorption,
  { labels, texts }: { readonly labels: string; readonly texts?: readonly string[] },
): void {
  const question = { labels, setting, ...(texts ? { texts } : {}) };
  knownOf(workbench).questions.set(keyOf(sae, task, setting), question);
}

function knownOf(workbench: Workbench): Known {
  const own = known.get(workbench) ?? { progress: { share: 0, text: "" }, questions: new Map() };
  known.set(workbench, own);
  return own;
}

function keyOf(sae: string, task: string, setting: string): string {
  return JSON.stringify([sae, task, setting]);
}
