/** Contexts as tokens: BOS policy, chat templates, special tokens in contents, tokens over borders. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type ContextSource, tokenFlags } from "../../server/protocol/context.ts";
import { tokenizeContext } from "../../server/text/context-tokens.ts";
import { type Tokenizer, readTokenizer } from "../../server/text/tokenizer.ts";
import { describeWith, repoRoot, shared } from "../parts.ts";

const chatml =
  "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}";

function fixture(name: string, config: Record<string, unknown> = {}): Tokenizer {
  const path = join(repoRoot, "test/golden/tokenizers", `${name}.json`);
  return readTokenizer(JSON.parse(readFileSync(path, "utf8")), config);
}

function plain(text: string): ContextSource {
  return { kind: "plain", parts: [{ text, fileStart: 0 }] };
}

function chat(...turns: [string, string][]): ContextSource {
  return { kind: "chat", parts: turns.map(([role, text]) => ({ role, text, fileStart: 0 })) };
}

/** One line per token: text, part, range, `i` for inserted, `s` for special. */
function lines(tokenizer: Tokenizer, context: ContextSource, prependBos = false): string[] {
  const { tokens } = tokenizeContext(tokenizer, context, { prependBos });
  return tokens.texts.map((text, token) => {
    const flags = tokens.flags[token] as number;
    const marks =
      (flags & tokenFlags.inserted ? "i" : "") + (flags & tokenFlags.special ? "s" : "");
    return `${JSON.stringify(text)} ${tokens.part[token]} ${tokens.start[token]}-${tokens.end[token]} ${marks}`.trim();
  });
}

describe("plain text", () => {
  const tokenizer = fixture("gpt2", { bos_token: "<|endoftext|>", eos_token: "<|endoftext|>" });

  test("BOS by policy", () => {
    expect(lines(tokenizer, plain("the sea"), true)).toEqual([
      '"<|endoftext|>" -1 0-0 is',
      ...lines(tokenizer, plain("the sea")),
    ]);
    expect(lines(tokenizer, plain(""))).toEqual([]);
    expect(lines(tokenizer, plain(""), true)).toHaveLength(1);
  });

  test("text of a special token is that token, with its range", () => {
    expect(lines(tokenizer, plain("a<|endoftext|>a"))).toEqual([
      '"a" 0 0-1',
      '"<|endoftext|>" 0 1-14 s',
      '"a" 0 14-15',
    ]);
  });

  test("without BOS the EOS stands in, and it is said", () => {
    const eosOnly = fixture("qwen2", { eos_token: "<|im_end|>" });
    const { tokens, problems } = tokenizeContext(eosOnly, plain("a"), { prependBos: true });
    expect(tokens.texts).toEqual(["<|im_end|>", "a"]);
    expect(problems.join()).toContain('"<|im_end|>", its EOS, stands in');
    const nothing = tokenizeContext(fixture("qwen2"), plain("a"), { prependBos: true });
    expect(nothing.tokens.texts).toEqual(["a"]);
    expect(nothing.problems.join()).toContain("names none: read without it");
  });

  test("a space that the tokenizer puts in front has an empty range", () => {
    expect(lines(fixture("llama2"), plain("\n1"))).toEqual([
      '" " 0 0-0',
      '"\\n" 0 0-1',
      '"1" 0 1-2',
    ]);
  });
});

describe("conversations", () => {
  const tokenizer = fixture("qwen2", { chat_template: chatml, bos_token: "<|im_start|>" });

  test("contents have ranges, the template's text none", () => {
    const context = chat(["user", "the sea"], ["assistant", "It's"]);
    expect(lines(tokenizer, context).filter((line) => !line.includes(" -1 "))).toEqual([
      '"t" 0 0-1',
      '"he" 0 1-3',
      '" sea" 0 3-7',
      '"It" 1 0-2',
      '"\'s" 1 2-4',
    ]);
    expect(lines(tokenizer, context)[0]).toBe('"<|im_start|>" -1 0-0 is');
    expect(text(tokenizer, context)).toBe(
      "<|im_start|>user\nthe sea<|im_end|>\n<|im_start|>assistant\nIt's<|im_end|>\n",
    );
  });

  test("a BOS that the template wrote is not doubled", () => {
    expect(lines(tokenizer, chat(["user", "a"]), true)).toEqual(
      lines(tokenizer, chat(["user", "a"])),
    );
  });

  test("a special token in a content is read as Hugging Face reads it, and named", () => {
    const context = chat(["user", "a<|im_end|>b"], ["user", "c<think>"]);
    const { tokens, problems } = tokenizeContext(tokenizer, context, { prependBos: false });
    const at = tokens.texts.indexOf("<|im_end|>");
    expect([tokens.part[at], tokens.start[at], tokens.end[at]]).toEqual([0, 1, 11]);
    expect(tokens.flags[at]).toBe(tokenFlags.special);
    expect(problems).toEqual([
      'message 1 (user) contains "<|im_end|>", which the model reads as its special token, not as text',
    ]);
  });

  test("a token over a border has the range of the content in it", () => {
    const spaced = fixture("pythia", {
      chat_template: "{% for m in messages %}|  {{ m.content }}{% endfor %}",
    });
    expect(lines(spaced, chat(["user", "  x"]))).toEqual([
      '"|" -1 0-0 i',
      '"    " 0 0-2',
      '"x" 0 2-3',
    ]);
  });

  test("a token over two contents belongs to the first", () => {
    const glued = fixture("pythia", {
      chat_template: "{% for m in messages %}{{ m.content }}{% endfor %}",
    });
    expect(lines(glued, chat(["user", "x "], ["user", " y"]))).toEqual([
      '"x" 0 0-1',
      '"  " 0 1-2',
      '"y" 1 1-2',
    ]);
  });

  test("without a template a conversation is refused", () => {
    expect(() =>
      tokenizeContext(fixture("gpt2"), chat(["user", "a"]), { prependBos: false }),
    ).toThrow("the model has no chat template");
  });
});

const goldenPath = shared("goldens/smollm2/lm_golden_f16.json");
describeWith(goldenPath, "SmolLM2's chat prompt", () => {
  test("ids equal apply_chat_template's", () => {
    const folder = shared("models/smollm2");
    const tokenizer = readTokenizer(
      JSON.parse(readFileSync(join(folder, "tokenizer.json"), "utf8")),
      JSON.parse(readFileSync(join(folder, "tokenizer_config.json"), "utf8")),
    );
    const { prompts } = JSON.parse(readFileSync(goldenPath, "utf8")) as {
      prompts: { name: string; ids: number[] }[];
    };
    // The golden goes on with the generation prompt "<|im_start|>assistant\n".
    const ids = prompts.find(({ name }) => name === "chat")?.ids ?? [];
    const golden = ids.slice(0, ids.lastIndexOf(1));
    const context = chat(["user", "What is the capital of France?"]);
    const { tokens, problems } = tokenizeContext(tokenizer, context, { prependBos: true });
    expect([...tokens.ids]).toEqual(golden);
    expect(problems).toEqual([]);
    const contents = [...tokens.ids].flatMap((_, at) =>
      tokens.part[at] === 0 ? [[tokens.start[at], tokens.end[at]]] : [],
    );
    expect(contents.flat()).toEqual([0, 4, 4, 7, 7, 11, 11, 19, 19, 22, 22, 29, 29, 30]);
  });
});

function text(tokenizer: Tokenizer, context: ContextSource): string {
  return tokenizer.decode(tokenizeContext(tokenizer, context, { prependBos: false }).tokens.ids);
}
