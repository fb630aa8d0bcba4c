/** Asks what has to be asked about some latents, a few at a time, until each has its result. */
import { assert } from "../base/errors.ts";
import type { ExplainedLatent, ExplainQuestion, ExplainStep } from "../protocol/explain.ts";

/** Who writes the questions and keeps the answers. */
export interface Interviewer {
  next(latent: number): Promise<ExplainStep>;
  answer(question: ExplainQuestion, text: string): Promise<void>;
}

/** How it is done. */
export interface InterviewOptions {
  readonly interviewer: Interviewer;
  /** Sends a question; only ever called with the user's consent. */
  readonly ask: (question: ExplainQuestion, signal: AbortSignal) => Promise<string>;
  readonly signal: AbortSignal;
  /** Questions under way at once. */
  readonly parallel: number;
  /** Hears of every answer and every result. */
  readonly onProgress: (progress: { answered: number; finished: number; latent: number }) => void;
}

/** Results in the order of the latents. The first failure stops all; answers before it are kept by the interviewer. */
export async function interview(
  latents: readonly number[],
  { interviewer, ask, signal, parallel, onProgress }: InterviewOptions,
): Promise<ExplainedLatent[]> {
  const results: ExplainedLatent[] = [];
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  let [begun, answered, finished] = [0, 0, 0];
  const oneLatent = async (latent: number): Promise<ExplainedLatent> => {
    for (;;) {
      const { questions, result } = await interviewer.next(latent);
      if (result) return result;
      assert(questions.length > 0, "neither a question nor a result");
      for (const question of questions) {
        either.throwIfAborted();
        await interviewer.answer(question, await ask(question, either));
        onProgress({ answered: ++answered, finished, latent });
      }
    }
  };
  const worker = async (): Promise<void> => {
    while (begun < latents.length) {
      const at = begun++;
      results[at] = await oneLatent(latents[at]!);
      onProgress({ answered, finished: ++finished, latent: latents[at]! });
    }
  };
  const workers = Array.from({ length: Math.min(parallel, latents.length) }, async () => {
    try {
      await worker();
    } catch (error) {
      stop.abort();
      throw error;
    }
  });
  const settled = await Promise.allSettled(workers);
  signal.throwIfAborted();
  const failures = settled.flatMap((it) =>
    it.status === "rejected" ? [it.reason as unknown] : [],
  );
  // Those that were stopped by the first failure are no failures of their own.
  const [first] = failures.filter((it) => (it as Error).name !== "AbortError");
  if (first !== undefined) throw first;
  if (failures.length > 0) throw failures[0];
  return results;
}
