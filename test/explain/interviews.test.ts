// Asking about several latents at once: each until it has its result, all stopped by the first failure.
import { expect, test } from "vitest";
import { interview, type InterviewOptions } from "../../server/chat/interviews.ts";
import type { ExplainQuestion } from "../../server/protocol/explain.ts";

/** Three questions about each latent, one after the other. */
function open(ask: InterviewOptions["ask"], signal = new AbortController().signal) {
  const answers: string[] = [];
  const progress: string[] = [];
  const next = async (latent: number) => {
    const done = answers.filter((it) => it.startsWith(`${latent}:`)).length;
    if (done === 3) return { questions: [], result: { latent, problems: [] } };
    const question = { key: `${latent}:${done}`, latent, kind: "explanation" } as const;
    return { questions: [{ ...question, messages: [], maxTokens: 1 }] };
  };
  const running = interview([5, 6, 7, 8, 9], {
    interviewer: { next, answer: async ({ key }, text) => void answers.push(`${key} ${text}`) },
    ask,
    signal,
    parallel: 2,
    onProgress: ({ answered, finished }) => progress.push(`${answered}/${finished}`),
  });
  return { running, answers, progress };
}

test("results come in the order of the latents, no more questions at once than allowed", async () => {
  let [now, most] = [0, 0];
  const { running, answers, progress } = open(async ({ key }) => {
    most = Math.max(most, ++now);
    // The first latent is the slowest.
    await new Promise((resolve) => setTimeout(resolve, key.startsWith("5") ? 8 : 2));
    now--;
    return "yes";
  });
  expect((await running).map(({ latent }) => latent)).toEqual([5, 6, 7, 8, 9]);
  expect([answers.length, most, progress.at(-1)]).toEqual([15, 2, "15/5"]);
});

test("the first failure stops all, and is the one that is told; what was answered stays", async () => {
  const asked: string[] = [];
  const { running, answers } = open(async ({ key }: ExplainQuestion, signal) => {
    asked.push(key);
    if (key === "6:1") throw new Error("refused");
    await new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, 20);
      signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason as Error)));
    });
    return "yes";
  });
  await expect(running).rejects.toThrow("refused");
  expect(answers).toContain("6:0 yes");
  expect(asked.filter((it) => /^[789]/.test(it))).toEqual([]);
});

test("cancelled, nothing more is asked", async () => {
  const stop = new AbortController();
  const { running, answers } = open(async () => {
    if (answers.length === 4) stop.abort();
    return "yes";
  }, stop.signal);
  await expect(running).rejects.toThrow(/abort/i);
  expect(answers.length).toBeLessThan(8);
});
