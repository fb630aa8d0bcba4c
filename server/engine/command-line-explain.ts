/** The verb `explain`. */
import { type Command, InvalidArgumentError } from "commander";
import { join, resolve } from "node:path";
import { UserError } from "../base/errors.ts";
import { askEndpoint, checkEndpoint } from "../chat/endpoint.ts";
import { interview } from "../chat/interviews.ts";
import { Conversation } from "../explain/conversation.ts";
import { exists, writeFileAtomic } from "../files/disk.ts";
import { explainedText } from "../protocol/explain-text.ts";
import {
  type ExplainedLatent,
  explanationType,
  type ExplainPlan,
  scoreKinds,
  type ScoreKind,
  type TestScore,
} from "../protocol/explain.ts";
import { LatentIndex } from "../store/index-reader.ts";
import { manifestName } from "../store/latent-index.ts";
import { count, countOrNone } from "./command-line-options.ts";

interface ExplainOptions {
  readonly index: string;
  readonly latents: readonly number[];
  readonly endpoint?: string;
  readonly model?: string;
  readonly keyEnv: string;
  readonly scores: readonly ScoreKind[];
  readonly seed: number;
  readonly show?: boolean;
  readonly answers?: string;
  readonly timeout: number;
  readonly retries: number;
  readonly parallel: number;
  readonly maxTokens?: number;
  readonly output?: string;
  readonly json?: boolean;
}

/** Adds the verb. */
export function addExplainVerb({
  program,
  signal,
}: {
  program: Command;
  signal: AbortSignal;
}): void {
  program
    .command("explain")
    .description("explain latents by a language model behind an OpenAI-compatible endpoint")
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .requiredOption("--index <folder>", "index of the SAE, as `index` writes it")
    .requiredOption("--latents <list>", "latents, such as 1,2,10-19", latentList)
    .option(
      "--endpoint <url>",
      "where to ask, such as http://localhost:11434/v1; without it nothing is sent",
    )
    .option("--model <name>", "the model to ask there")
    .option("--key-env <name>", "environment variable with the key", "LATENT_WORKBENCH_API_KEY")
    .option(
      "--scores <list>",
      "detection, fuzzing, both with a comma, or none",
      scoreList,
      scoreKinds,
    )
    .option("--seed <n>", "chooses the examples", countOrNone, 0)
    .option("--show", "print what would be sent, and send nothing")
    .option("--answers <file>", "where answers are kept; default: beside the index")
    .option("--timeout <seconds>", "of one attempt", count, 60)
    .option("--retries <n>", "attempts after the first", countOrNone, 4)
    .option("--parallel <n>", "questions under way at once", count, 4)
    .option("--max-tokens <n>", "length of an answer, at most (200)", count)
    .option("--output <file>", "also write the explanations as Neuronpedia's JSON Lines")
    .option("--json", "print JSON")
    .action(async (options: ExplainOptions) => {
      const index = openIndex(options.index);
      try {
        await explain(index, options, signal);
      } finally {
        index.close();
      }
    });
}

async function explain(
  index: LatentIndex,
  options: ExplainOptions,
  signal: AbortSignal,
): Promise<void> {
  const { endpoint, latents, scores, seed, maxTokens, answers } = options;
  if (endpoint !== undefined && options.model === undefined)
    throw new UserError("usage", `name the model to ask at ${endpoint} with --model`);
  const model = options.model ?? "";
  const url = endpoint === undefined ? undefined : checkEndpoint(endpoint);
  const conversation = new Conversation(index, {
    latents,
    scores,
    model,
    seed,
    maxTokens,
    answers,
  });
  try {
    const plan = conversation.plan();
    if (url === undefined || options.show) {
      print(options.json ? JSON.stringify({ schemaVersion: 1, plan }) : planText(plan, url));
      return;
    }
    note(planLine(plan, url));
    const key = process.env[options.keyEnv] || undefined;
    const { retries, timeout } = options;
    const chat = { url, model, key, timeoutMs: timeout * 1000, retries };
    const found = await interview(latents, {
      interviewer: {
        next: async (latent) => conversation.next(latent),
        answer: async (question, text) => conversation.answer(question, text),
      },
      ask: (question, stop) => askEndpoint(chat, question, { signal: stop, onWait: note }),
      signal,
      parallel: options.parallel,
      onProgress: progressLines(plan, latents.length),
    });
    const { id: sae } = index.manifest.sae;
    if (options.output !== undefined) writeExplanations(options.output, found, model);
    const report = {
      schemaVersion: 1,
      sae,
      model,
      endpoint: url,
      seed,
      answers: conversation.path,
    };
    print(options.json ? JSON.stringify({ ...report, latents: found }) : explainedText(found));
  } finally {
    conversation.close();
  }
}

/** The folder of an index, or of the run that built it. */
function openIndex(path: string): LatentIndex {
  const folder = resolve(path);
  return new LatentIndex(exists(join(folder, manifestName)) ? folder : join(folder, "index"));
}

function planLine(
  { questions, ofQuestions, tokensToSend, tokensToReceive }: ExplainPlan,
  url: string,
) {
  const known = ofQuestions - questions;
  return `${questions} questions to ${url}${known > 0 ? `, ${known} were answered before` : ""}: about ${tokensToSend} tokens to send (bytes / 4), at most ${tokensToReceive} to receive`;
}

function planText(plan: ExplainPlan, url: string | undefined): string {
  const where = url ?? "an endpoint (name one with --endpoint and --model)";
  return `${plan.text}\n\nNothing was sent. ${planLine(plan, where)}.`;
}

function progressLines(plan: ExplainPlan, latents: number) {
  return ({ answered, finished }: { answered: number; finished: number }): void =>
    note(`${answered} of ${plan.questions} answers, ${finished} of ${latents} latents`);
}

/** Rows as Neuronpedia's exports have them; "Import Labels…" reads them. */
function writeExplanations(path: string, found: readonly ExplainedLatent[], model: string): void {
  const rows = found.flatMap(({ latent, label, detection, fuzzing }) =>
    label === undefined
      ? []
      : [
          {
            index: String(latent),
            description: label,
            typeName: explanationType,
            explanationModelName: model,
            scores: { ...named("detection", detection), ...named("fuzzing", fuzzing) },
          },
        ],
  );
  writeFileAtomic(resolve(path), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}

function named(kind: ScoreKind, score: TestScore | undefined): Record<string, number> {
  return score ? { [kind]: kind === "detection" ? score.accuracy : score.balanced } : {};
}

/** `1,2,10-19` as numbers, each once. */
function latentList(text: string): number[] {
  const latents = text.split(",").flatMap((part) => {
    const [, from, to] = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part) ?? [];
    const [first, last] = [Number(from), Number(to ?? from)];
    if (from === undefined || last < first || last - first > 10_000)
      throw new InvalidArgumentError("expected latents such as 1,2,10-19.");
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
  return [...new Set(latents)];
}

function scoreList(text: string): ScoreKind[] {
  if (text === "none") return [];
  return text.split(",").map((part) => {
    const kind = scoreKinds.find((it) => it === part.trim());
    if (kind === undefined)
      throw new InvalidArgumentError("expected detection, fuzzing, both with a comma, or none.");
    return kind;
  });
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
