/**
 * The room that explains latents by a language model elsewhere: it chooses examples of an index, writes questions and reads
 * answers. It sends nothing: whoever has the user's consent does (`chat`). Start reading here.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { assert, UserError } from "../base/errors.ts";
import { SeededRandom } from "../base/seeded-random.ts";
import { roughTokens } from "../chat/tokens.ts";
import type {
  ChatMessage,
  ExplainedLatent,
  ExplainPlan,
  ExplainQuestion,
  ExplainRequest,
  ExplainStep,
} from "../protocol/explain.ts";
import type { LatentIndex } from "../store/index-reader.ts";
import { AnswerFile } from "./answer-file.ts";
import { parseExplanation, parseMarks, parsePredictions } from "./answers.ts";
import { type LatentExamples, latentExamples } from "./examples.ts";
import {
  detectionMessages,
  explanationMessages,
  fuzzingBatch,
  fuzzingMessages,
} from "./prompts.ts";
import { testScore } from "./scores.ts";

/** Name of the file with answers, beside the index that they are about. */
const answersName = "explanations.jsonl";

/** Length of an answer at most; SAEBench's 30 and 33 are too short for models that think aloud. */
const defaultMaxTokens = 200;

/** Stands in the plan for an explanation that is not known yet: 20 words, the most that is asked for. */
const unknown =
  "⟨the explanation that the model will have given: at most twenty words, as it was asked to keep it short and plain⟩";

/** What is asked, and what is known beside the index. */
export interface ConversationRequest extends Omit<ExplainRequest, "sae"> {
  readonly maxTokens?: number | undefined;
  /** Where answers are kept instead of beside the index. */
  readonly answers?: string | undefined;
}

/** Questions and answers about some latents. */
export class Conversation {
  readonly request: ConversationRequest;
  readonly #index: LatentIndex;
  readonly #answers: AnswerFile;
  readonly #examples = new Map<number, LatentExamples>();

  constructor(index: LatentIndex, request: ConversationRequest) {
    checkLatents(index, request.latents);
    this.request = request;
    this.#index = index;
    this.#answers = new AnswerFile(request.answers ?? join(index.folder, answersName));
  }

  /** The file with the answers. */
  get path(): string {
    return this.#answers.path;
  }

  /** All that is going to be asked, with explanations that are not known yet left open. */
  plan(): ExplainPlan {
    const all = this.request.latents.flatMap((latent) => this.#allQuestions(latent));
    const open = all.filter(({ key }) => this.#answers.get(key) === undefined);
    return {
      questions: open.length,
      ofQuestions: all.length,
      tokensToSend: open.reduce((sum, { messages }) => sum + roughTokens(messages), 0),
      tokensToReceive: open.reduce((sum, { maxTokens }) => sum + maxTokens, 0),
      text: open.map(questionText).join("\n\n"),
    };
  }

  /** What to ask next about a latent, or what came out. */
  next(latent: number): ExplainStep {
    const { explained, problems } = this.#examplesOf(latent);
    if (explained.length === 0) {
      const never = "it fires nowhere in the index's corpus";
      return { questions: [], result: { latent, problems: [never] } };
    }
    const explanation = this.#explanationQuestion(latent);
    const answer = this.#answers.get(explanation.key);
    if (answer === undefined) return { questions: [explanation] };
    const label = parseExplanation(answer);
    if (label === undefined) {
      const problem = `the answer was no explanation: ${excerpt(answer)}`;
      return { questions: [], result: { latent, problems: [...problems, problem] } };
    }
    const tests = this.#testQuestions(latent, label);
    const open = tests.filter(({ key }) => this.#answers.get(key) === undefined);
    if (open.length > 0) return { questions: open };
    return { questions: [], result: this.#result(latent, label, tests) };
  }

  /** Keeps an answer. */
  answer(question: ExplainQuestion, text: string): void {
    const { model } = this.request;
    const isReadable = this.#isReadable(question, text);
    this.#answers.add(question, { text, model, isReadable });
  }

  close(): void {
    this.#answers.close();
  }

  #allQuestions(latent: number): ExplainQuestion[] {
    if (this.#examplesOf(latent).explained.length === 0) return [];
    const explanation = this.#explanationQuestion(latent);
    const answer = this.#answers.get(explanation.key);
    const label = answer === undefined ? undefined : parseExplanation(answer);
    return [explanation, ...this.#testQuestions(latent, label ?? unknown)];
  }

  #explanationQuestion(latent: number): ExplainQuestion {
    const { explained, threshold } = this.#examplesOf(latent);
    return this.#question(latent, "explanation", explanationMessages(explained, threshold));
  }

  #testQuestions(latent: number, label: string): ExplainQuestion[] {
    const { detection, fuzzing } = this.#examplesOf(latent);
    const { scores, seed } = this.request;
    const questions: ExplainQuestion[] = [];
    if (scores.includes("detection") && detection.length > 0) {
      const random = new SeededRandom(seed, latent, 29);
      const messages = detectionMessages(label, detection, random);
      questions.push(this.#question(latent, "detection", messages));
    }
    if (scores.includes("fuzzing"))
      for (let at = 0; at < fuzzing.length; at += fuzzingBatch) {
        const messages = fuzzingMessages(label, fuzzing.slice(at, at + fuzzingBatch));
        questions.push(this.#question(latent, "fuzzing", messages));
      }
    return questions;
  }

  #question(
    latent: number,
    kind: ExplainQuestion["kind"],
    messages: readonly ChatMessage[],
  ): ExplainQuestion {
    const { model, maxTokens = defaultMaxTokens } = this.request;
    const key = createHash("sha256").update(JSON.stringify({ model, messages })).digest("hex");
    return { key, latent, kind, messages, maxTokens };
  }

  #isReadable({ kind, latent, key }: ExplainQuestion, text: string): boolean {
    if (kind === "explanation") return parseExplanation(text) !== undefined;
    if (kind === "detection") return parsePredictions(text) !== undefined;
    const explanation = this.#answers.get(this.#explanationQuestion(latent).key) ?? "";
    const batches = this.#testQuestions(latent, parseExplanation(explanation) ?? "").filter(
      (it) => it.kind === "fuzzing",
    );
    const at = batches.findIndex((it) => it.key === key);
    return parseMarks(text, this.#batchSize(latent, at)) !== undefined;
  }

  #batchSize(latent: number, batch: number): number {
    const { fuzzing } = this.#examplesOf(latent);
    return Math.min(fuzzingBatch, fuzzing.length - batch * fuzzingBatch);
  }

  #result(latent: number, label: string, tests: readonly ExplainQuestion[]): ExplainedLatent {
    const { detection, fuzzing, problems } = this.#examplesOf(latent);
    const answers = (kind: ExplainQuestion["kind"]): string[] =>
      tests
        .filter((it) => it.kind === kind)
        .map(({ key }) => {
          const text = this.#answers.get(key);
          assert(text !== undefined, "a result without an answer");
          return text;
        });
    const found = [...problems];
    const [detected] = answers("detection");
    const named = detected === undefined ? undefined : parsePredictions(detected);
    if (detected !== undefined && named === undefined)
      found.push(`no score of detection: the answer was no list of numbers: ${excerpt(detected)}`);
    const detectionScore =
      named &&
      testScore(
        detection.map((_, at) => named.includes(at + 1)),
        detection.map(({ isActive }) => isActive),
      );
    const marks = answers("fuzzing").flatMap((text, batch): (boolean | undefined)[] => {
      const size = this.#batchSize(latent, batch);
      return parseMarks(text, size) ?? Array.from({ length: size }, () => undefined);
    });
    const fuzzingScore = testScore(
      marks,
      fuzzing.slice(0, marks.length).map(({ isRight }) => isRight),
    );
    const unread = marks.filter((it) => it === undefined).length;
    if (unread > 0)
      found.push(
        `fuzzing: answers about ${unread} of ${marks.length} examples were no lists of 0 and 1`,
      );
    return {
      latent,
      label,
      ...(detectionScore ? { detection: detectionScore } : {}),
      ...(fuzzingScore ? { fuzzing: fuzzingScore } : {}),
      problems: found,
    };
  }

  #examplesOf(latent: number): LatentExamples {
    const known =
      this.#examples.get(latent) ?? latentExamples(this.#index, latent, this.request.seed);
    this.#examples.set(latent, known);
    return known;
  }
}

function checkLatents(index: LatentIndex, latents: readonly number[]): void {
  const { d_sae, id } = index.manifest.sae;
  const bad = latents.find((it) => !Number.isSafeInteger(it) || it < 0 || it >= d_sae);
  if (bad !== undefined)
    throw new UserError(
      "no-such-latent",
      `${id} has no latent ${bad}: it has latents 0 to ${d_sae - 1}`,
    );
  if (latents.length === 0)
    throw new UserError("no-latents", `no latent of ${id} is named; name one or more`);
}

/** A question as it is sent, for reading. */
function questionText({ latent, kind, messages }: ExplainQuestion): string {
  const parts = messages.map(({ role, content }) => `[${role}]\n${content}`);
  return `──── latent ${latent}, ${kind} ────\n${parts.join("\n\n")}`;
}

function excerpt(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return JSON.stringify(line.length > 120 ? `${line.slice(0, 120)}…` : line);
}
