/**
 * Explaining latents by a language model that is asked elsewhere: what client, server and command line say to each other
 * about it. The server chooses examples, writes questions and reads answers; whoever has the user's consent asks them.
 */

/** A message of a chat, as OpenAI's chat completions and VS Code's language models take them. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** How an explanation is tested: by telling texts in which the latent fires from others, or marked tokens from others. */
export type ScoreKind = "detection" | "fuzzing";

/** All of them. */
export const scoreKinds: readonly ScoreKind[] = ["detection", "fuzzing"];

/** One question, complete: nothing else is sent. */
export interface ExplainQuestion {
  /** Hash of who is asked and what: answers are kept under it. */
  readonly key: string;
  readonly latent: number;
  readonly kind: "explanation" | ScoreKind;
  readonly messages: readonly ChatMessage[];
  /** Length of the answer, at most. */
  readonly maxTokens: number;
}

/** How well answers told examples apart. */
export interface TestScore {
  /** Share of the examples that were told right. */
  readonly accuracy: number;
  /** Mean of that share among examples where the latent fires and among those where it does not. */
  readonly balanced: number;
  /** Share that is right for the answer "none of them". */
  readonly none: number;
  readonly examples: number;
  /** Examples whose answer could not be read; they do not count above. */
  readonly unread: number;
}

/** Scores as a label shows them: SAEBench's accuracy of detection, delphi's balanced accuracy of fuzzing. */
export type LabelScores = Readonly<Partial<Record<ScoreKind, number>>>;

/** How rows in Neuronpedia's form name the way in which these labels were made (`typeName`). */
export const explanationType = "latent-workbench";

/** What came out for a latent. */
export interface ExplainedLatent {
  readonly latent: number;
  /** Absent if no explanation could be had; `problems` says why. */
  readonly label?: string;
  readonly detection?: TestScore;
  readonly fuzzing?: TestScore;
  readonly problems: readonly string[];
}

/** What is asked about which latents. */
export interface ExplainRequest {
  readonly sae: string;
  readonly latents: readonly number[];
  readonly scores: readonly ScoreKind[];
  /** Name of the model that answers. */
  readonly model: string;
  /** Chooses examples and their order. */
  readonly seed: number;
}

/** What asking will take. */
export interface ExplainPlan {
  /** Questions that were not answered before, and all. */
  readonly questions: number;
  readonly ofQuestions: number;
  /** Tokens to send, by an approximation: UTF-8 bytes over four, and four for each message. */
  readonly tokensToSend: number;
  /** Tokens to receive, at most. */
  readonly tokensToReceive: number;
  /** Everything that is sent, but for explanations that are not known yet. */
  readonly text: string;
}

/** What comes next for a latent: questions, or the result when all were answered. */
export interface ExplainStep {
  readonly questions: readonly ExplainQuestion[];
  readonly result?: ExplainedLatent;
}

/** The part of the table that is about explanations. */
export interface ExplainMethods {
  /** The endpoint of the settings; empty texts where there is none. */
  explainTarget(params: Record<string, never>): { endpoint: string; model: string };
  /** Latents of the index that fire and have no label yet, the most active first. */
  unlabelledLatents(params: { sae: string; count: number }): { latents: number[] };
  /** Opens a conversation; nothing is sent by it. */
  explainBegin(params: ExplainRequest): { conversation: string; plan: ExplainPlan };
  explainNext(params: { conversation: string; latent: number }): ExplainStep;
  /** Keeps an answer. A latent whose last answer it was gets its label when it is asked for next. */
  explainAnswer(params: { conversation: string; question: ExplainQuestion; text: string }): null;
  explainEnd(params: { conversation: string }): null;
}
