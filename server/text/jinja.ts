/** Chat templates run as transformers runs them (utils/chat_template_utils.py), but without a clock. */
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { chatTemplateRefused } from "./errors.ts";

/** A parsed template. */
export class JinjaTemplate {
  readonly #program: ReturnType<typeof parse>;

  constructor(source: string) {
    this.#program = refusing(() =>
      parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true })),
    );
  }

  /**
   * The rendered text. `strftime_now` is left undefined: the same conversation must give the same tokens tomorrow. Templates
   * that test for it fall back to a date of their own, the others are refused.
   */
  render(variables: Readonly<Record<string, unknown>>): string {
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...globals, ...variables }))
      environment.set(name, value);
    return refusing(() => {
      const { value } = new Interpreter(environment).run(this.#program);
      if (typeof value !== "string") throw new Error("it renders to something other than text");
      return value;
    });
  }
}

const globals: Readonly<Record<string, unknown>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  range,
  raise_exception: (text: string) => {
    throw new Error(text);
  },
};

/** Python's range, with the limit of Jinja's sandbox (jinja2/sandbox.py, MAX_RANGE). */
function range(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!(length <= 100_000)) throw new Error(`range of ${length} numbers is too long`);
  return Array.from({ length }, (_, index) => from + index * step);
}

function refusing<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw chatTemplateRefused(error instanceof Error ? error.message : String(error), error);
  }
}
