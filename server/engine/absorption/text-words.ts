/** Words of a task in running text: tokens that begin and end a word, read where they stand. */
import { splitWords, type TaskWord } from "../../analysis/tasks/word-prompts.ts";
import { isWholeWord } from "../../analysis/tasks/words-in-text.ts";
import { printHookPoint } from "../../lm/hook-points.ts";
import { Stream } from "../../lm/stream.ts";
import { rowsFrom } from "../read-context.ts";
import {
  checkEnough,
  joined,
  type Work,
  type WordPlan,
  wordRows,
  type WordRows,
} from "./word-plan.ts";

/** Tokens of a window; short enough for every model. */
const windowLength = 256;
/** Occurrences of one word that are read: more would make frequent words the whole of a label. */
const perWord = 5;

/** Reads the words of all texts; words, not occurrences, are held out. */
export async function readTextWords(
  plan: WordPlan,
  { step, onProgress, signal }: Work,
): Promise<{ train: WordRows; test: WordRows }> {
  const { lm, task, hook, prependBos, seed } = plan;
  const { tokenizer } = lm;
  const name = printHookPoint(hook);
  const found = new Map<number, { word: TaskWord; rows: Float32Array[] }>();
  const bos = prependBos ? tokenizer.bosId : undefined;
  const width = Math.min(windowLength, lm.config.n_ctx) - (bos === undefined ? 0 : 1);
  const windows = plan.texts.flatMap((text) => {
    const { ids } = tokenizer.encode(text);
    const count = Math.ceil(ids.length / width);
    return Array.from({ length: count }, (_, at) => ids.slice(at * width, (at + 1) * width));
  });
  const stream = new Stream(lm);
  try {
    for (const [at, ids] of windows.entries()) {
      signal?.throwIfAborted();
      const places = placesOf(ids, plan).filter(
        ({ word }) => (found.get(word.id)?.rows.length ?? 0) < perWord,
      );
      onProgress(
        `reading window ${at + 1} of ${windows.length}`,
        (0.7 * (at + 1)) / windows.length,
      );
      if (places.length === 0) continue;
      const skip = bos === undefined ? 0 : 1;
      const { data, dims } = await step(async () => {
        stream.setIds(bos === undefined ? ids : Int32Array.of(bos, ...ids));
        return rowsFrom((await stream.read([hook], signal)).get(name), skip);
      });
      const d = dims[1] ?? 0;
      for (const { word, token } of places) {
        const entry = found.get(word.id) ?? { word, rows: [] };
        found.set(word.id, entry);
        if (entry.rows.length < perWord) entry.rows.push(data.slice(token * d, (token + 1) * d));
      }
    }
  } finally {
    stream.dispose();
  }
  const words = [...found.values()].map((it) => it.word);
  checkEnough(words, plan);
  const split = splitWords(words, seed);
  const rowsOf = (part: readonly TaskWord[]): WordRows => {
    const entries = part.flatMap((word) =>
      (found.get(word.id)?.rows ?? []).map((row) => ({ word, row })),
    );
    return wordRows(
      entries.map((it) => it.word),
      joined(entries.map((it) => it.row)),
      task.labels.length,
    );
  };
  return { train: rowsOf(split.train), test: rowsOf(split.test) };
}

/** Where words of the task stand in a window; position 0 is left out. */
function placesOf(ids: Int32Array, { task, lm }: WordPlan): { word: TaskWord; token: number }[] {
  const { tokenizer } = lm;
  const texts = Array.from(ids, (id) => tokenizer.tokenText(id));
  return texts.flatMap((text, token) => {
    if (token === 0 || !isWholeWord(texts, token)) return [];
    const labels = task.labelsOf(text.trim());
    return labels.length === 0 || !task.pattern.test(text)
      ? []
      : [{ token, word: { id: ids[token]!, text, labels } }];
  });
}
