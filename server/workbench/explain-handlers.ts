/** Answers about explanations, by the table `ExplainMethods`: questions for the client to ask, and labels of what it hears. */
import { randomUUID } from "node:crypto";
import { UserError } from "../base/errors.ts";
import { Conversation } from "../explain/conversation.ts";
import type { ExplainedLatent, ExplainMethods, LabelScores } from "../protocol/explain.ts";
import type { Handlers } from "../protocol/rpc.ts";
import { findSae } from "./explorer-handlers.ts";
import { needIndex } from "./explorer-search.ts";
import { labelOf } from "./labels.ts";
import { untrustedWorkspace } from "./runs-errors.ts";
import type { Workbench } from "./workbench.ts";

/** Conversations that are going on, by workbench: they end with it. */
const conversations = new WeakMap<Workbench, Map<string, { sae: string; talk: Conversation }>>();

/** The handlers over a workbench. */
export function explainHandlers(workbench: Workbench): Handlers<ExplainMethods> {
  const open =
    conversations.get(workbench) ?? new Map<string, { sae: string; talk: Conversation }>();
  conversations.set(workbench, open);
  const known = (id: string): { sae: string; talk: Conversation } => {
    const found = open.get(id);
    if (!found)
      throw new UserError(
        "no-conversation",
        "the server started anew; run the command again, it goes on where it was",
      );
    return found;
  };
  return {
    explainTarget: () => workbench.settings.explain,
    unlabelledLatents: async ({ sae: id, count }) => {
      const { sae } = await findSae(workbench, id);
      const index = needIndex({ sae, index: workbench.indexes.of(sae).index });
      const { count: tokens } = index.summary;
      const latents = Array.from(tokens, (_, latent) => latent)
        .filter((it) => tokens[it]! > 0 && labelOf(workbench.latentsFile, sae, it) === undefined)
        .sort((a, b) => tokens[b]! - tokens[a]! || a - b);
      return { latents: latents.slice(0, count) };
    },
    explainBegin: async ({ sae: id, ...request }) => {
      if (!workbench.options.trusted) throw untrustedWorkspace();
      const { sae } = await findSae(workbench, id);
      const index = needIndex({ sae, index: workbench.indexes.of(sae).index });
      const talk = new Conversation(index, request);
      const conversation = randomUUID();
      const plan = talk.plan();
      open.set(conversation, { sae: id, talk });
      return { conversation, plan };
    },
    explainNext: ({ conversation, latent }) => {
      const { sae, talk } = known(conversation);
      const step = talk.next(latent);
      if (step.result) addLabel(workbench, sae, talk.request.model, step.result);
      return step;
    },
    explainAnswer: ({ conversation, question, text }) => {
      known(conversation).talk.answer(question, text);
      return null;
    },
    explainEnd: ({ conversation }) => {
      open.get(conversation)?.talk.close();
      open.delete(conversation);
      return null;
    },
  };
}

function addLabel(
  workbench: Workbench,
  sae: string,
  model: string,
  { latent, label, detection, fuzzing }: ExplainedLatent,
): void {
  if (label === undefined) return;
  const scores: LabelScores = {
    ...(detection ? { detection: rounded(detection.accuracy) } : {}),
    ...(fuzzing ? { fuzzing: rounded(fuzzing.balanced) } : {}),
  };
  workbench.labels.addGenerated(sae, { latent, label, model, scores });
  workbench.reloadLabels();
  workbench.options.onChanged([...workbench.documents.values()]);
}

/** As many digits as a handful of examples bear. */
function rounded(score: number): number {
  return Math.round(score * 1000) / 1000;
}
