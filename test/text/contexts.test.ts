/** Files of prompts as contexts, and the way back to the file. */
import { describe, expect, test } from "vitest";
import { type FileContexts, fileOffset, readContexts } from "../../server/text/contexts.ts";
import { randomText } from "./random-text.ts";

/** Contexts as title and parts; parts as role, file offset and text. */
function summary({ contexts, titles }: FileContexts): string[] {
  return contexts.map(({ kind, parts }, at) => {
    const texts = parts.map(
      (part) => `${part.role ?? ""}@${part.fileStart} ${JSON.stringify(part.text)}`,
    );
    return `${titles[at]} (${kind}): ${texts.join(", ")}`;
  });
}

/** Every unit of every part must stand in the file where `fileOffset` says. */
function checkOffsets(text: string, { contexts }: FileContexts): void {
  for (const context of contexts)
    for (const [index, part] of context.parts.entries()) {
      if (part.fileOffsets) expect(part.fileOffsets).toHaveLength(part.text.length + 1);
      else {
        const start = fileOffset(context, index, 0);
        expect(text.slice(start, fileOffset(context, index, part.text.length))).toBe(part.text);
      }
    }
}

describe("plain files", () => {
  const text = "one\r\ntwo\r\n\r\n  \r\n---\r\n\r\nthree\n\nfour \n----\n---\nfive\rsix\n";

  test.each([
    ["file", ["whole file (plain): @0 " + JSON.stringify(text)]],
    [
      "blocks",
      [
        'block 1 (plain): @0 "one\\r\\ntwo"',
        'block 2 (plain): @23 "three\\n\\nfour "',
        'block 3 (plain): @45 "five\\rsix"',
      ],
    ],
    [
      "paragraphs",
      [
        'paragraph 1 (plain): @0 "one\\r\\ntwo"',
        'paragraph 2 (plain): @16 "---"',
        'paragraph 3 (plain): @23 "three"',
        'paragraph 4 (plain): @30 "four \\n----\\n---\\nfive\\rsix"',
      ],
    ],
    [
      "lines",
      [
        'line 1 (plain): @0 "one"',
        'line 2 (plain): @5 "two"',
        'line 5 (plain): @16 "---"',
        'line 7 (plain): @23 "three"',
        'line 9 (plain): @30 "four "',
        'line 10 (plain): @36 "----"',
        'line 11 (plain): @41 "---"',
        'line 12 (plain): @45 "five"',
        'line 13 (plain): @50 "six"',
      ],
    ],
  ] as const)("by %s", (rule, expected) => {
    const found = readContexts({ name: "a.txt", text, rule });
    expect(summary(found)).toEqual(expected);
    checkOffsets(text, found);
    expect(found.problems).toEqual([]);
  });

  test("an empty file has no contexts, a blank one is read as it stands", () => {
    expect(readContexts({ name: "a.txt", text: "" }).contexts).toEqual([]);
    expect(summary(readContexts({ name: "a.txt", text: " \n" }))).toEqual([
      'whole file (plain): @0 " \\n"',
    ]);
    expect(readContexts({ name: "a.txt", text: " \n\n", rule: "lines" }).contexts).toEqual([]);
  });

  test("a byte order mark is not read", () => {
    expect(summary(readContexts({ name: "a.txt", text: "\ufeffa" }))).toEqual([
      'whole file (plain): @1 "a"',
    ]);
    const withMatter = readContexts({ name: "a.md", text: "\ufeff---\nx: 1\n---\na" });
    expect(summary(withMatter)).toEqual(['whole file (plain): @14 "a"']);
  });

  test("offsets hold for random text", () => {
    for (let seed = 0; seed < 100; seed++) {
      const text = `${randomText(seed)}\n\n${randomText(seed + 1)}\r\n---\r\n${randomText(seed + 2)}`;
      for (const rule of ["file", "blocks", "paragraphs", "lines"] as const)
        checkOffsets(text, readContexts({ name: "a.md", text, rule }));
    }
  });
});

describe("front matter", () => {
  test("names model, SAEs and rule, and is not fed to the model", () => {
    const text =
      "---\r\ntitle: x\r\nlatent-workbench:\r\n  lm: demo\r\n  saes: [a, b]\r\n  contexts: lines\r\n---\r\n\r\nfirst\r\nsecond\r\n";
    const found = readContexts({ name: "a.prompt.md", text, rule: "file" });
    expect(summary(found)).toEqual([
      `line 9 (plain): @${text.indexOf("first")} "first"`,
      `line 10 (plain): @${text.indexOf("second")} "second"`,
    ]);
    expect(found.frontMatter).toEqual({
      asked: true,
      lm: "demo",
      saes: ["a", "b"],
      contexts: "lines",
      offsets: {
        lm: text.indexOf("lm: demo"),
        saes: text.indexOf("saes:"),
        contexts: text.indexOf("contexts:"),
      },
      start: 0,
      end: text.indexOf("\r\nfirst"),
    });
  });

  test("one SAE may be given alone", () => {
    const text = "---\nlatent-workbench: {sae: x}\n---\na";
    expect(readContexts({ name: "a.md", text }).frontMatter?.saes).toEqual(["x"]);
  });

  test("text files keep a block of dashes that is not ours", () => {
    const text = "---\ntitle: x\n---\nbody\n";
    expect(readContexts({ name: "a.txt", text }).contexts[0]?.parts[0]?.text).toBe(text);
    expect(readContexts({ name: "a.md", text }).contexts[0]?.parts[0]?.text).toBe("body\n");
    expect(
      readContexts({ name: "a.md", text: "---\nonly text\n---\nbody" }).frontMatter,
    ).toBeUndefined();
    expect(readContexts({ name: "a.md", text: "---\nno end: 1\n" }).frontMatter).toBeUndefined();
    expect(
      readContexts({ name: "a.txt", text: "---\nlatent-workbench: {lm: m}\n---\nb" }).frontMatter
        ?.lm,
    ).toBe("m");
  });

  test.each<[string, string, string]>([
    [
      "latent-workbench: {contexts: words}",
      "contexts is words; it can be file, blocks, paragraphs, lines",
      "contexts",
    ],
    ["latent-workbench: {model: x}", "unknown key model; known are lm, saes, contexts", "model"],
    ["latent-workbench: {lm: 3}", "lm must be text", "lm"],
    ["latent-workbench: 3", "latent-workbench must be a map with lm, saes, contexts", "latent"],
    ["a: [", "front matter is not YAML", ""],
  ])("%s is a problem at its place", (yaml, problem, at) => {
    const { problems, contexts } = readContexts({ name: "a.md", text: `---\n${yaml}\n---\nbody` });
    expect(problems[0]?.text).toContain(problem);
    if (at !== "") expect(problems[0]?.offset).toBe(4 + yaml.indexOf(at));
    expect(contexts[0]?.parts[0]?.text).toBe("body");
  });
});

describe("chat .jsonl", () => {
  test("one conversation per line, contents through escapes", () => {
    const text =
      '{"messages":[{"role":"user","content":"a\\n\\u00e9\\ud83d\\ude00\\"b\\/"},{"role":"assistant","content":"é😀"}]}\r\n' +
      '\r\n{"text":"plain\\ttext"}\r\n';
    const found = readContexts({ name: "a.jsonl", text });
    expect(found.problems).toEqual([]);
    expect(found.titles).toEqual(["conversation 1", "text 2"]);
    const [conversation, plain] = found.contexts;
    expect(conversation?.parts.map(({ role, text }) => [role, text])).toEqual([
      ["user", 'a\né😀"b/'],
      ["assistant", "é😀"],
    ]);
    const offsets = Array.from({ length: 9 }, (_, at) => fileOffset(conversation!, 0, at));
    const base = text.indexOf("a\\n");
    expect(offsets.map((each) => each - base)).toEqual([0, 1, 3, 9, 15, 21, 23, 24, 26]);
    expect(conversation?.parts[1]?.fileOffsets).toBeUndefined();
    expect(fileOffset(conversation!, 1, 1)).toBe(text.indexOf("é😀") + 1);
    expect(plain?.kind).toBe("plain");
    expect(fileOffset(plain!, 0, 6)).toBe(text.indexOf("text", text.indexOf("plain")));
  });

  test("every unit of random contents is where JSON says, escaped in any way", () => {
    for (let seed = 0; seed < 150; seed++) {
      const content = randomText(seed);
      const line = JSON.stringify({ messages: [{ role: "user", content }] });
      const escaped = line.replace(/[^ -~]/g, (unit) =>
        seed % 2 ? unit : `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
      );
      const [context] = readContexts({ name: "a.jsonl", text: escaped }).contexts;
      expect(context?.parts[0]?.text).toBe(content);
      for (let at = 0; at < content.length; at++) {
        const raw = escaped.slice(fileOffset(context!, 0, at), fileOffset(context!, 0, at + 1));
        expect(JSON.parse(`"${raw}"`)).toBe(content[at]);
      }
    }
  });

  test("a bad line is a problem, the others are read", () => {
    const good = '{"messages":[{"role":"user","content":"x"}]}';
    const bad = [
      "{",
      "[1]",
      '{"messages":[]}',
      '{"messages":[{"role":"user"}]}',
      '{"messages":[{"content":"x"}]}',
      `${good} ,`,
    ];
    const text = [
      good,
      ...bad,
      '{"messages":[{"role":"user","content":[{"type":"text"}]}]}',
      good,
    ].join("\n");
    const found = readContexts({ name: "a.jsonl", text });
    expect(found.contexts).toHaveLength(2);
    expect(found.titles).toEqual(["conversation 1", "conversation 2"]);
    expect(found.problems).toHaveLength(bad.length + 1);
    const lines = text.split("\n");
    for (const [at, problem] of found.problems.entries()) {
      const line = text.slice(0, problem.offset).split("\n").length - 1;
      expect(line, problem.text).toBe(at + 1);
      expect(problem.text).toMatch(/^this line is left out: /);
    }
    expect(lines).toHaveLength(9);
  });

  test("5 MB are read in well under a second", () => {
    const line = JSON.stringify({
      messages: [{ role: "user", content: "Why is the sea\nloud? é".repeat(20) }],
    });
    const text = `${line}\n`.repeat(Math.ceil(5e6 / line.length));
    const started = process.cpuUsage();
    expect(readContexts({ name: "a.jsonl", text }).contexts.length).toBeGreaterThan(9000);
    // About 0.3 s of processor time.
    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(3);
  });
});

describe(".prompty", () => {
  test("roles become messages, trimmed", () => {
    const text =
      "---\nname: x\n---\nsystem:\nYou are kind.\n\nuser:\r\n {{question}} \r\n\r\n# Assistant :\nYes: no\n";
    const found = readContexts({ name: "a.prompty", text });
    expect(summary(found)).toEqual([
      `conversation (chat): system@${text.indexOf("You")} "You are kind.", user@${text.indexOf("{{")} "{{question}}", assistant@${text.indexOf("Yes")} "Yes: no"`,
    ]);
    checkOffsets(text, found);
  });

  test("text without a role is the system's, an empty message stays", () => {
    expect(summary(readContexts({ name: "a.prompty", text: "Hello\n" }))).toEqual([
      'conversation (chat): system@0 "Hello"',
    ]);
    expect(summary(readContexts({ name: "a.prompty", text: "user:\n" }))).toEqual([
      'conversation (chat): user@6 ""',
    ]);
    expect(readContexts({ name: "a.prompty", text: "\n" }).contexts).toEqual([]);
  });
});
