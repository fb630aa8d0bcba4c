/**
 * Commands that explain latents by a language model: one that VS Code offers, or one behind an endpoint of the settings. The
 * server writes the questions; this file shows them, and sends them only after the user agreed, each time.
 */
import * as vscode from "vscode";
import { UserError } from "../server/base/errors.ts";
import { interview } from "../server/chat/interviews.ts";
import { explainedText } from "../server/protocol/explain-text.ts";
import {
  type ExplainedLatent,
  type ExplainPlan,
  scoreKinds,
  type ScoreKind,
} from "../server/protocol/explain.ts";
import { asRecord, type ClientParts } from "./client-parts.ts";
import { chooseTarget, type ExplainTarget, storeKey } from "./explain-targets.ts";
import { latentOf, saeOf } from "./explorer-commands.ts";

/** Questions under way at once. */
const parallel = 4;
/** Latents of a list that are explained together: what one agrees to should be readable. */
const mostLatents = 200;

/** Explains the latent of an argument, or one that is asked for. */
export async function explainLatent(parts: ClientParts, argument?: unknown): Promise<void> {
  const at = await latentOf(parts, argument);
  if (at) await explain(parts, at.sae, [at.latent]);
}

/** Explains the latents of an argument, or a list that is asked for. */
export async function explainLatents(parts: ClientParts, argument?: unknown): Promise<void> {
  const { latents } = asRecord(argument);
  const sae = await saeOf(parts, argument, "Explain latents: of which SAE");
  if (!sae) return;
  const shown = Array.isArray(latents) ? latents.filter((it) => typeof it === "number") : [];
  const unlabelled = await parts.server.call("unlabelledLatents", { sae: sae.id, count: 20 });
  const typed = await vscode.window.showInputBox({
    title: `Explain latents of ${sae.id}`,
    prompt:
      shown.length > 0
        ? "Latents; these are those of the explorer's list"
        : "Latents, such as 1, 2, 10-19; these have no label yet and fire most",
    value: (shown.length > 0 ? shown : unlabelled.latents).slice(0, mostLatents).join(", "),
    validateInput: (text) => (parseLatents(text, sae.d_sae) ? undefined : expected(sae.d_sae)),
    ignoreFocusOut: true,
  });
  const chosen = parseLatents(typed ?? "", sae.d_sae);
  if (chosen) await explain(parts, sae.id, chosen);
}

/** Keeps the key of the endpoint in the secret storage, or forgets it when the answer is empty. */
export async function setExplainKey(parts: ClientParts): Promise<void> {
  const { endpoint } = await parts.server.call("explainTarget", {});
  if (endpoint === "")
    throw new UserError(
      "no-endpoint",
      "latentWorkbench.explain.endpoint is empty: name the endpoint in the settings first, its key belongs to it",
    );
  await storeKey(parts, endpoint);
}

async function explain(parts: ClientParts, sae: string, latents: number[]): Promise<void> {
  if (!vscode.workspace.isTrusted)
    throw new UserError(
      "not-trusted",
      "nothing is sent from a workspace that you do not trust; trust it first",
    );
  const target = await chooseTarget(parts);
  const scores = target && (await chooseScores());
  if (!target || !scores) return;
  const { server } = parts;
  const request = { sae, latents, scores, model: target.model, seed: 0 };
  const { conversation, plan } = await server.call("explainBegin", request);
  try {
    if (plan.questions > 0 && !(await agree(parts, plan, target))) return;
    const found = await ask(parts, { conversation, plan, target, latents });
    await show(parts, sae, found);
  } finally {
    await server.call("explainEnd", { conversation });
  }
}

const scoreChoices: readonly (vscode.QuickPickItem & { scores: readonly ScoreKind[] })[] = [
  {
    scores: scoreKinds,
    label: "Explain and test",
    detail: "by detection (SAEBench) and by fuzzing (delphi): up to 6 questions a latent",
  },
  { scores: ["detection"], label: "Explain and test by detection", detail: "2 questions a latent" },
  { scores: [], label: "Explain only", detail: "1 question a latent, and no score" },
];

async function chooseScores(): Promise<readonly ScoreKind[] | undefined> {
  const title = "How far an explanation is tested";
  return (await vscode.window.showQuickPick(scoreChoices, { title }))?.scores;
}

/** Shows all that is going to be sent, then asks. The text can be read while the question is open. */
async function agree(
  { reports }: ClientParts,
  { text, questions, ofQuestions, tokensToSend, tokensToReceive }: ExplainPlan,
  { name, place }: ExplainTarget,
): Promise<boolean> {
  const known = ofQuestions - questions;
  const opening = [
    `Nothing was sent yet. This is everything that would be sent to ${name}, ${place}:`,
    `${questions} questions, about ${tokensToSend} tokens (UTF-8 bytes over four: within a third or so) to send, at most ${tokensToReceive} to receive.`,
    ...(known > 0
      ? [`${known} further questions were answered before and are not sent again.`]
      : []),
    "What stands between ⟨ and ⟩ is put in when the model has given its explanation.",
  ].join("\n");
  // Among the texts: the explorer stays in sight.
  await reports.show("Explain Latents", `${opening}\n\n${text}\n`, vscode.ViewColumn.One);
  const send = {
    label: `$(send) Send ${questions} questions`,
    description: `to ${place}`,
    detail: `about ${tokensToSend} tokens; the open editor shows every word of it`,
  };
  const keep = { label: "$(close) Send nothing", detail: "" };
  const chosen = await vscode.window.showQuickPick([keep, send], {
    title: `Send texts of the index to ${name}?`,
    placeHolder: "Read the open editor first: this stays here while you do",
    ignoreFocusOut: true,
  });
  return chosen === send;
}

async function ask(
  { server, log }: ClientParts,
  given: {
    conversation: string;
    plan: ExplainPlan;
    target: ExplainTarget;
    latents: readonly number[];
  },
): Promise<ExplainedLatent[]> {
  const { conversation, plan, target, latents } = given;
  const controller = new AbortController();
  return vscode.window.withProgress(
    {
      location: vscode.ProgressLocation.Notification,
      title: `Explaining ${latents.length === 1 ? `latent ${latents[0]}` : `${latents.length} latents`}`,
      cancellable: true,
    },
    (progress, cancelled) => {
      cancelled.onCancellationRequested(() => controller.abort());
      return interview(latents, {
        interviewer: {
          next: (latent) => server.call("explainNext", { conversation, latent }),
          answer: async (question, text) => {
            await server.call("explainAnswer", { conversation, question, text });
          },
        },
        ask: (question, signal) =>
          target.ask(question, signal, (text) => {
            log.info(`${target.name}: ${text}`);
            progress.report({ message: text });
          }),
        signal: controller.signal,
        parallel,
        onProgress: ({ answered, finished }) =>
          progress.report({
            message: `${answered} of ${plan.questions} answers, ${finished} of ${latents.length} latents`,
            increment: answered > 0 ? 100 / Math.max(1, plan.questions + latents.length) : 0,
          }),
      });
    },
  );
}

/** One latent in the explorer, several as a list. */
async function show(
  { explorer, reports }: ClientParts,
  sae: string,
  found: readonly ExplainedLatent[],
): Promise<void> {
  const [only] = found;
  if (found.length === 1 && only?.label !== undefined && only.problems.length === 0)
    explorer.open({ sae, latent: only.latent });
  else await reports.show("Explanations", `Explanations of ${sae}\n\n${explainedText(found)}\n`);
}

/** `1, 2, 10-19` as latents, each once; undefined for anything else. */
function parseLatents(text: string, d_sae: number): number[] | undefined {
  const latents = new Set<number>();
  for (const part of text.split(",")) {
    const [, first, last] = /^\s*(\d+)(?:\s*-\s*(\d+))?\s*$/.exec(part) ?? [];
    const [from, to] = [Number(first), Number(last ?? first)];
    if (first === undefined || to < from || to >= d_sae || to - from > mostLatents)
      return undefined;
    for (let latent = from; latent <= to; latent++) latents.add(latent);
  }
  return latents.size > mostLatents ? undefined : [...latents];
}

function expected(d_sae: number): string {
  return `latents from 0 to ${d_sae - 1}, such as 1, 2, 10-19; at most ${mostLatents}`;
}
