/**
 * What was answered, one JSON object a line, written as soon as it comes: a run that is stopped, or asked for again, asks
 * only for the rest. A line that cannot be read, such as one that a crash cut off, counts as not there.
 */
import { exists, readText } from "../files/disk.ts";
import { GrowingFile } from "../files/growing-file.ts";
import type { ExplainQuestion } from "../protocol/explain.ts";

/** A line. */
interface KeptAnswer {
  readonly key: string;
  readonly latent: number;
  readonly kind: ExplainQuestion["kind"];
  readonly model: string;
  readonly date: string;
  readonly text: string;
  /** It is not of the form that was asked for; another run asks again. */
  readonly unreadable?: true;
}

/** Answers of a file by the key of their question. */
export class AnswerFile {
  readonly path: string;
  readonly #answers = new Map<string, string>();
  #file: GrowingFile | undefined;

  constructor(path: string) {
    this.path = path;
    for (const { key, text, unreadable } of readAnswers(path))
      if (unreadable !== true) this.#answers.set(key, text);
  }

  /** The answer's text, if there is one: of an earlier run only such as could be read. */
  get(key: string): string | undefined {
    return this.#answers.get(key);
  }

  add(
    { key, latent, kind }: ExplainQuestion,
    { text, model, isReadable }: { text: string; model: string; isReadable: boolean },
  ): void {
    const date = new Date().toISOString();
    const line: KeptAnswer = {
      key,
      latent,
      kind,
      model,
      date,
      text,
      ...(isReadable ? {} : { unreadable: true }),
    };
    // Opened by the first answer: planning writes nothing. A cut-off line before it ends here.
    if (!this.#file) {
      const isCut = exists(this.path) && !/(^|\n)$/.test(readText(this.path));
      this.#file = new GrowingFile(this.path);
      if (isCut) this.#file.append("\n");
    }
    this.#file.append(`${JSON.stringify(line)}\n`);
    this.#answers.set(key, text);
  }

  close(): void {
    this.#file?.flush();
    this.#file?.close();
    this.#file = undefined;
  }
}

function readAnswers(path: string): KeptAnswer[] {
  if (!exists(path)) return [];
  return readText(path)
    .split("\n")
    .flatMap((line) => {
      try {
        const value = JSON.parse(line) as Partial<KeptAnswer> | null;
        const isAnswer = typeof value?.key === "string" && typeof value.text === "string";
        return isAnswer ? [value as KeptAnswer] : [];
      } catch {
        return [];
      }
    });
}
