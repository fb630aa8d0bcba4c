/**
 * A context as tokens, each with its range in the context's parts.
 *
 * Numbers equal those of Hugging Face's libraries: plain text is tokenised as `tokenizer(text)` does it and a conversation as
 * `apply_chat_template` does it, rendered text as a whole. So text that spells a special token becomes that token, in a
 * conversation's contents too; there it is named as a problem, because it may end a message where the author did not mean to.
 */
import {
  type ContextPart,
  type ContextSource,
  type ContextTokens,
  tokenFlags,
} from "../protocol/context.ts";
import { ChatTemplate, type ContentSpan } from "./chat-template.ts";
import { noChatTemplate } from "./errors.ts";
import type { Encoding, Tokenizer } from "./tokenizer.ts";

/** Tokens of a context, and what the user should know about them. */
export interface TokenizedContext {
  readonly tokens: ContextTokens;
  readonly problems: string[];
}

/**
 * The tokens of a context. BOS is put in front by `prependBos` unless a chat template did so itself.
 *
 * A token over the border of a message's content and the template's text has the range of the content that it covers; if it
 * covers two contents, the first's. A token that stands for nothing (Llama-2's space in front) has an empty range.
 */
export function tokenizeContext(
  tokenizer: Tokenizer,
  context: ContextSource,
  options: { readonly prependBos: boolean },
): TokenizedContext {
  const problems: string[] = [];
  const body =
    context.kind === "chat"
      ? chatTokens(tokenizer, context.parts, problems)
      : plainTokens(tokenizer.encode(context.parts[0]?.text ?? ""));
  const bos = options.prependBos ? bosFor(tokenizer, problems) : undefined;
  const put = bos !== undefined && !(context.kind === "chat" && body.ids[0] === bos);
  const all = put ? withBos(body, bos) : body;
  return {
    tokens: { ...all, texts: Array.from(all.ids, (id) => tokenizer.tokenText(id)) },
    problems,
  };
}

type Tokens = Omit<ContextTokens, "texts">;

function plainTokens(encoding: Encoding): Tokens {
  const { ids, start, end, special, byteOfCharacter, bytesInCharacter } = encoding;
  const part = new Int32Array(ids.length);
  const flags = special.map((each) => (each ? tokenFlags.special : 0));
  return { ids, part, start, end, flags, byteOfCharacter, bytesInCharacter };
}

const templates = new WeakMap<Tokenizer, ChatTemplate>();

function chatTokens(
  tokenizer: Tokenizer,
  parts: readonly ContextPart[],
  problems: string[],
): Tokens {
  if (tokenizer.chatTemplate === undefined) throw noChatTemplate();
  const template =
    templates.get(tokenizer) ?? new ChatTemplate(tokenizer.chatTemplate, tokenizer.namedTokens);
  templates.set(tokenizer, template);
  const rendered = template.render(
    parts.map(({ role, text }) => ({ role: role ?? "user", content: text })),
  );
  problems.push(...rendered.problems);
  const tokens = plainTokens(tokenizer.encode(rendered.text));
  const named = new Set<string>();
  let at = 0;
  for (let token = 0; token < tokens.ids.length; token++) {
    const start = tokens.start[token] as number;
    while (at < rendered.spans.length && endOf(rendered.spans[at]) <= start) at++;
    place(tokens, token, rendered.spans[at]);
    const part = tokens.part[token] as number;
    if (part < 0 || !((tokens.flags[token] as number) & tokenFlags.special)) continue;
    const text = tokenizer.tokenText(tokens.ids[token] as number);
    const role = parts[part]?.role ?? "user";
    named.add(
      `message ${part + 1} (${role}) contains ${JSON.stringify(text)}, which the model reads as its special token, not as text`,
    );
  }
  problems.push(...named);
  return tokens;
}

function endOf(span: ContentSpan | undefined): number {
  return span ? span.at + span.to - span.from : 0;
}

/** Turns a token's range in the rendered text into one in a part, or marks the token as the template's. */
function place(tokens: Tokens, token: number, span: ContentSpan | undefined): void {
  const start = tokens.start[token] as number;
  const end = tokens.end[token] as number;
  const inside = span && (start === end ? start >= span.at : end > span.at);
  tokens.part[token] = inside ? span.message : -1;
  tokens.start[token] = inside ? span.from + Math.max(start, span.at) - span.at : 0;
  tokens.end[token] = inside ? span.from + Math.min(end, endOf(span)) - span.at : 0;
  if (inside) return;
  tokens.flags[token] = (tokens.flags[token] as number) | tokenFlags.inserted;
}

function bosFor(tokenizer: Tokenizer, problems: string[]): number | undefined {
  if (tokenizer.bosId !== undefined) return tokenizer.bosId;
  const [eos] = tokenizer.eosIds;
  problems.push(
    eos === undefined
      ? "the SAE expects a BOS token, but the tokenizer names none: read without it"
      : `the SAE expects a BOS token, but the tokenizer names none: ${JSON.stringify(tokenizer.tokenText(eos))}, its EOS, stands in, as in TransformerLens`,
  );
  return eos;
}

function withBos(tokens: Tokens, bos: number): Tokens {
  return {
    ids: withFirst(tokens.ids, bos),
    part: withFirst(tokens.part, -1),
    start: withFirst(tokens.start, 0),
    end: withFirst(tokens.end, 0),
    flags: withFirst(tokens.flags, tokenFlags.special | tokenFlags.inserted),
    byteOfCharacter: withFirst(tokens.byteOfCharacter, 0),
    bytesInCharacter: withFirst(tokens.bytesInCharacter, 0),
  };
}

function withFirst<T extends Int32Array | Uint8Array>(array: T, first: number): T {
  const Numbers = array.constructor as new (length: number) => T;
  const result = new Numbers(array.length + 1);
  result[0] = first;
  result.set(array, 1);
  return result;
}
