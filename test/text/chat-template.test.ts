/** Chat templates against jinja2 as transformers runs it (test/python/chat_goldens.py), and the places of contents. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type ChatMessage, ChatTemplate } from "../../server/text/chat-template.ts";
import { repoRoot } from "../parts.ts";

interface Golden {
  readonly templates: Record<string, string>;
  readonly tokens: Record<string, string>;
  readonly conversations: ChatMessage[][];
  readonly rows: { template: string; conversation: number; text?: string; error?: string }[];
}

const golden = JSON.parse(
  readFileSync(join(repoRoot, "test/golden/chat/templates.json"), "utf8"),
) as Golden;

function template(name: string): ChatTemplate {
  return new ChatTemplate(golden.templates[name] ?? "", golden.tokens);
}

describe.each(Object.keys(golden.templates))("%s", (name) => {
  const rows = golden.rows.filter((row) => row.template === name);

  test.each(rows)("conversation $conversation", ({ conversation, text, error }) => {
    const messages = golden.conversations[conversation] ?? [];
    if (text === undefined) {
      expect(() => template(name).render(messages)).toThrow(
        `the model's chat template refuses this conversation: ${error}`,
      );
      return;
    }
    const rendered = template(name).render(messages);
    expect(rendered.text).toBe(text);
    let end = 0;
    for (const { message, from, to, at } of rendered.spans) {
      expect(rendered.text.slice(at, at + to - from)).toBe(
        messages[message]?.content.slice(from, to),
      );
      expect(at).toBeGreaterThanOrEqual(end);
      end = at + to - from;
    }
  });
});

/** Contents with what the template shows of them in brackets. */
function shown(
  name: string,
  messages: ChatMessage[],
): { contents: string[]; problems: readonly string[] } {
  const { spans, problems } = template(name).render(messages);
  const contents = messages.map(({ content }, message) => {
    const own = spans.filter((span) => span.message === message).sort((a, b) => b.from - a.from);
    let text = content;
    for (const { from, to } of own)
      text = `${text.slice(0, from)}[${text.slice(from, to)}]${text.slice(to)}`;
    return text;
  });
  return { contents, problems };
}

test.each<[string, number, string[]]>([
  // A content that spells a role, and one that is a line break after the template's own line break.
  ["smollm2", 4, ["[user]", "[assistant]", "[\n]"]],
  ["smollm2", 1, ["[Hi]", "[Hello!]", "[Hi]"]],
  ["smollm2", 3, ["[  padded \n]", "[\n answer  ]"]],
  ["llama3", 3, ["  [padded] \n", "\n [answer]  "]],
  ["llama3", 10, [" [You are\n\nkind.] ", "\t[indented\n\tlines]\n"]],
  // Trims the answers only.
  ["inst", 3, ["[  padded \n]", "\n [answer]  "]],
  ["inst", 2, ["[Be brief.]", "[Who are you?]", "[A model.]"]],
  ["gemma", 6, ["[😀 é e\u0301 日本\r\nשלום]", "[👩\u200d👩\u200d👧]"]],
  ["gemma", 4, ["[user]", "[assistant]", "\n"]],
])("%s shows conversation %i", (name, conversation, contents) => {
  const result = shown(name, golden.conversations[conversation] ?? []);
  expect(result.contents).toEqual(contents);
});

test("what a template drops is named, and the rest placed", () => {
  expect(shown("think", golden.conversations[8] ?? [])).toEqual({
    contents: [
      "[Why?]",
      "<think>\nLet me see.\nYes.\n</think>\n\n[Because.\nThat is all.]",
      "[ok]",
    ],
    problems: ["message 2 (assistant): the chat template leaves out or changes a part of it"],
  });
  expect(shown("think", golden.conversations[9] ?? [])).toEqual({
    contents: ["42", "[x]"],
    problems: [
      "message 1 (tool): the chat template leaves it out or changes it, so its tokens cannot be led back to the file",
    ],
  });
});

test("what a template rewrites is named, never searched for", () => {
  const { contents, problems } = shown("shout", [
    { role: "user", content: "user" },
    { role: "user", content: "USER" },
  ]);
  expect(contents).toEqual(["user", "[USER]"]);
  expect(problems).toHaveLength(1);
});

test("a content shown twice is placed where it is first", () => {
  const twice = new ChatTemplate("{{ messages[0].content }}|{{ messages[0].content }}", {});
  const { text, spans, problems } = twice.render([{ role: "user", content: "a" }]);
  expect(text).toBe("a|a");
  expect(spans).toEqual([{ message: 0, from: 0, to: 1, at: 0 }]);
  expect(problems).toEqual(["message 1 (user): the chat template shows it 2 times"]);
});

test("contents that hold the usual marks are placed by others", () => {
  const content = "\ufdd0\ufdd1\ufdd2 a \ufdd3";
  expect(shown("smollm2", [{ role: "user", content }]).contents).toEqual([`[${content}]`]);
});

test("templates get no clock, and no endless range", () => {
  expect(template("llama3").render([{ role: "user", content: "x" }]).problems).toEqual([
    "the chat template asks for today's date; it is given none, and uses a fixed one",
  ]);
  expect(rendering("{{ strftime_now('%Y') }}")).toThrow("refuses this conversation");
  expect(rendering("{% for i in range(100000001) %}x{% endfor %}")).toThrow("too long");
  expect(rendering("{% if %}")).toThrow("refuses this conversation");
});

function rendering(source: string): () => unknown {
  return () => new ChatTemplate(source, {}).render([]);
}
