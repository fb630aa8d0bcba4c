/**
 * Chat templates: a conversation as the text that a model reads, with the place of every message's content in it.
 *
 * The template (Jinja, as transformers' apply_chat_template renders it) is a program, so contents are not searched for in
 * its output: it is rendered once as is and once with marks around the contents. Where both agree but for the marks, the
 * marks say where the content is. Templates that trim, drop or rewrite contents are asked again message by message, then
 * line by line; what still cannot be placed is named in `problems` and treated as the template's own text.
 */
import { UserError } from "../base/errors.ts";
import { JinjaTemplate } from "./jinja.ts";

/** A message of a conversation. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** A stretch of a message's content and where it stands in the rendered text; UTF-16 code units. */
export interface ContentSpan {
  readonly message: number;
  readonly from: number;
  readonly to: number;
  /** Offset in the rendered text of content unit `from`. */
  readonly at: number;
}

/** A conversation as text. */
export interface RenderedChat {
  readonly text: string;
  /** In the order of the rendered text, without overlaps. */
  readonly spans: readonly ContentSpan[];
  /** What of the conversation the template left out or changed. */
  readonly problems: readonly string[];
}

/** Lines of one message that are marked one by one at most; each costs a rendering. */
const mostLines = 64;

/** A model's chat template. */
export class ChatTemplate {
  readonly #source: string;
  readonly #template: JinjaTemplate;
  readonly #variables: Readonly<Record<string, unknown>>;

  /** `namedTokens`: what the template knows as `bos_token` and so on. */
  constructor(source: string, namedTokens: Readonly<Record<string, string>>) {
    this.#source = source;
    this.#template = new JinjaTemplate(source);
    // As apply_chat_template passes them.
    const given = { tools: null, documents: null, add_generation_prompt: false };
    this.#variables = { ...given, ...namedTokens };
  }

  /** The text that a model reads for a conversation, and where the contents are in it. */
  render(messages: readonly ChatMessage[]): RenderedChat {
    const text = this.#run(messages);
    const placer = new ContentPlacer(messages, text, this.#source, (marked) => this.#run(marked));
    const problems: string[] = [];
    if (this.#source.includes("strftime_now"))
      problems.push(
        "the chat template asks for today's date; it is given none, and uses a fixed one",
      );
    return { text, spans: inOrder(placer.place(problems), messages, problems), problems };
  }

  #run(messages: readonly ChatMessage[]): string {
    return this.#template.render({
      ...this.#variables,
      messages: messages.map((each) => ({ ...each })),
    });
  }
}

/** Spans in the order of the rendered text; a later one that overlaps is dropped. */
function inOrder(
  spans: readonly ContentSpan[],
  messages: readonly ChatMessage[],
  problems: string[],
): ContentSpan[] {
  const sorted = [...spans].sort((a, b) => a.at - b.at);
  const kept: ContentSpan[] = [];
  for (const span of sorted) {
    const last = kept.at(-1);
    if (last && last.at + last.to - last.from > span.at)
      problems.push(`${nameMessage(messages, span.message)}: its text overlaps another message's`);
    else kept.push(span);
  }
  return kept;
}

function nameMessage(messages: readonly ChatMessage[], index: number): string {
  return `message ${index + 1} (${messages[index]?.role})`;
}

/** A stretch of a content that is put between marks. */
interface Marked {
  readonly message: number;
  readonly from: number;
  readonly to: number;
}

/** Finds contents by marks. */
class ContentPlacer {
  readonly #messages: readonly ChatMessage[];
  readonly #text: string;
  readonly #run: (messages: readonly ChatMessage[]) => string;
  /** Opens a mark, ends its number, closes it; absent if every candidate occurs in the texts. */
  readonly #marks: readonly [string, string, string] | undefined;

  constructor(
    messages: readonly ChatMessage[],
    text: string,
    source: string,
    run: (messages: readonly ChatMessage[]) => string,
  ) {
    this.#messages = messages;
    this.#text = text;
    this.#run = run;
    this.#marks = unusedMarks([text, source, ...messages.map(({ content }) => content)]);
  }

  /** Where all contents are; messages that cannot be placed are named in `problems`. */
  place(problems: string[]): ContentSpan[] {
    const indices = [...this.#messages.keys()];
    const whole = indices.flatMap((index) => this.#whole(index));
    const found = this.#tryMarks(whole);
    if (found && eachOnce(found, whole)) return found;
    // Most templates that fail that trim: then only contents with white space around them are asked for one by one.
    const cores = indices.flatMap((index) => this.#core(index));
    const trimmed = this.#tryMarks(cores);
    if (!trimmed || !eachOnce(trimmed, cores))
      return indices.flatMap((index) => this.#message(index, problems));
    const isCore = ({ message }: Marked): boolean => {
      const content = this.#content(message);
      return content === content.trim();
    };
    const others = whole.filter((marked) => !isCore(marked));
    return [
      ...trimmed.filter(isCore),
      ...others.flatMap(({ message }) => this.#message(message, problems)),
    ];
  }

  /** One message's content, as far as the template shows it. */
  #message(index: number, problems: string[]): ContentSpan[] {
    const name = nameMessage(this.#messages, index);
    const whole = this.#whole(index);
    if (whole.length === 0) return [];
    for (const marked of [whole, this.#core(index)]) {
      const found = this.#tryMarks(marked);
      if (!found || found.length === 0) continue;
      if (found.length > 1)
        problems.push(`${name}: the chat template shows it ${found.length} times`);
      return found.slice(0, 1);
    }
    const lines = this.#lines(index);
    const found = lines.length > mostLines ? [] : lines.flatMap((line) => this.#once(line));
    if (found.length > 0)
      problems.push(`${name}: the chat template leaves out or changes a part of it`);
    else if (this.#core(index).length > 0)
      problems.push(
        `${name}: the chat template leaves it out or changes it, so its tokens cannot be led back to the file`,
      );
    return this.#joined(found);
  }

  #once(line: Marked): ContentSpan[] {
    return this.#tryMarks([line])?.slice(0, 1) ?? [];
  }

  #content(message: number): string {
    return this.#messages[message]?.content ?? "";
  }

  #whole(message: number): Marked[] {
    const to = this.#content(message).length;
    return to === 0 ? [] : [{ message, from: 0, to }];
  }

  #core(message: number): Marked[] {
    return trimmed(this.#content(message), message, 0);
  }

  #lines(message: number): Marked[] {
    return [...this.#content(message).matchAll(/[^\r\n]+/g)].flatMap((line) =>
      trimmed(line[0], message, line.index),
    );
  }

  /** Where the marked stretches are in the text; undefined if marks change what the template does. */
  #tryMarks(marked: readonly Marked[]): ContentSpan[] | undefined {
    if (!this.#marks || marked.length === 0) return undefined;
    const [open, number, close] = this.#marks;
    const messages = this.#messages.map((message, index) => {
      const at = marked.findIndex((each) => each.message === index);
      const stretch = marked[at];
      if (!stretch) return message;
      const { content } = message;
      const inside = content.slice(stretch.from, stretch.to);
      const text = `${content.slice(0, stretch.from)}${open}${at}${number}${inside}${close}${content.slice(stretch.to)}`;
      return { ...message, content: text };
    });
    let rendered: string;
    try {
      rendered = this.#run(messages);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      // A template that checks contents may refuse marked ones; the unmarked conversation rendered well.
      return undefined;
    }
    return this.#readMarks(rendered, marked);
  }

  #readMarks(rendered: string, marked: readonly Marked[]): ContentSpan[] | undefined {
    const [open, number, close] = this.#marks ?? ["", "", ""];
    const found: ContentSpan[] = [];
    let text = "";
    for (const [index, stretch] of rendered.split(open).entries()) {
      if (index === 0) {
        text += stretch;
        continue;
      }
      const [which = "", rest, ...none] = stretch.split(number);
      const [inside, after, ...noneEither] = rest?.split(close) ?? [];
      const mark = marked[Number(which)];
      if (!mark || inside === undefined || after === undefined) return undefined;
      if (none.length > 0 || noneEither.length > 0) return undefined;
      if (inside !== this.#content(mark.message).slice(mark.from, mark.to)) return undefined;
      found.push({ ...mark, at: text.length });
      text += inside + after;
    }
    return text === this.#text ? found : undefined;
  }

  /** Joins spans of neighbouring lines where the text between them is the content's own. */
  #joined(spans: readonly ContentSpan[]): ContentSpan[] {
    const joined: ContentSpan[] = [];
    for (const span of spans) {
      const last = joined.at(-1);
      const content = this.#content(span.message);
      const between = last && content.slice(last.to, span.from);
      if (last && this.#text.slice(last.at + last.to - last.from, span.at) === between)
        joined[joined.length - 1] = { ...last, to: span.to };
      else joined.push(span);
    }
    return joined;
  }
}

function trimmed(text: string, message: number, offset: number): Marked[] {
  const core = text.trim();
  if (core === "") return [];
  const from = offset + text.indexOf(core);
  return [{ message, from, to: from + core.length }];
}

function eachOnce(found: readonly ContentSpan[], marked: readonly Marked[]): boolean {
  return (
    found.length === marked.length &&
    new Set(found.map(({ message }) => message)).size === marked.length
  );
}

/** Three noncharacters, which text does not contain, that these texts indeed do not contain. */
function unusedMarks(texts: readonly string[]): readonly [string, string, string] | undefined {
  const free: string[] = [];
  for (let point = 0xfdd0; point <= 0xfdef && free.length < 3; point++) {
    const mark = String.fromCharCode(point);
    if (!texts.some((text) => text.includes(mark))) free.push(mark);
  }
  const [open, number, close] = free;
  return open !== undefined && number !== undefined && close !== undefined
    ? [open, number, close]
    : undefined;
}
