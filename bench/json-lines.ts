/** A child process that answers one JSON object a line with one JSON object a line. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** The peer in another language, one question at a time. */
export class JsonLines<Question, Answer extends object> {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  #stderr = "";

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.on("error", (error) => (this.#stderr += error.message));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    const { stdout } = this.#child;
    if (!stdout) throw new Error(`${command} was started without pipes`);
    this.#answers = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  /** Writes a question and waits for its answer. */
  ask(question: Question): Promise<Answer> {
    this.#child.stdin?.write(`${JSON.stringify(question)}\n`);
    return this.next();
  }

  /** The next answer; throws with the last line of stderr when the process has ended. */
  async next(): Promise<Answer> {
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error(this.#stderr.trimEnd().split("\n").at(-1) ?? "it ended");
    return JSON.parse(value) as Answer;
  }

  /** Ends the process. */
  end(): void {
    this.#child.stdin?.end();
    this.#child.kill();
  }
}
