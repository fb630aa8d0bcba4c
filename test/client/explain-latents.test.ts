// The commands that explain latents, in an editor that is made up: nothing is sent before the user has seen it and agreed,
// and then only that.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ClientParts } from "../../client/client-parts.ts";
import type { ExplainPlan, ExplainQuestion, ExplainStep } from "../../server/protocol/explain.ts";
import { type FakeEndpoint, refuse, startEndpoint } from "../explain/fake-endpoint.ts";

/** What a quick pick offers, as far as it matters here. */
interface Row {
  readonly label: string;
}

const editor = vi.hoisted(() => ({
  isTrusted: true,
  /** What the user chooses, by the beginning of a row's label. */
  choices: [] as string[],
  typed: undefined as string | undefined,
  offered: [] as string[][],
  models: [] as unknown[],
  secrets: new Map<string, string>(),
}));

vi.mock("vscode", () => ({
  workspace: {
    get isTrusted() {
      return editor.isTrusted;
    },
  },
  window: {
    showQuickPick: async (rows: Row[]) => {
      editor.offered.push(rows.map(({ label }) => label));
      const wanted = editor.choices.shift();
      return rows.find(({ label }) => wanted !== undefined && label.includes(wanted));
    },
    showInputBox: async () => editor.typed,
    withProgress: (_: unknown, work: (progress: unknown, token: unknown) => unknown) =>
      work({ report: () => {} }, { onCancellationRequested: () => {} }),
  },
  lm: { selectChatModels: async () => editor.models },
  commands: { executeCommand: vi.fn() },
  ViewColumn: { One: 1 },
  ProgressLocation: { Notification: 15, Window: 10 },
  CancellationTokenSource: class {
    token = {};
    cancel(): void {}
    dispose(): void {}
  },
  LanguageModelChatMessage: {
    User: (content: string) => ({ role: 1, content }),
    Assistant: (content: string) => ({ role: 2, content }),
  },
  LanguageModelError: class extends Error {
    code = "";
  },
}));

const { explainLatent, setExplainKey } = await import("../../client/explain-latents.ts");

const question = (key: string): ExplainQuestion => ({
  key,
  latent: 3,
  kind: "explanation",
  messages: [
    { role: "system", content: "You explain." },
    { role: "user", content: `text of ${key}` },
    { role: "assistant", content: "an example" },
  ],
  maxTokens: 20,
});
const plan: ExplainPlan = {
  questions: 2,
  ofQuestions: 2,
  tokensToSend: 99,
  tokensToReceive: 40,
  text: "text of first\ntext of second",
};

let endpoint: FakeEndpoint;
let answers: string[];
let reports: string[];
let ended: number;
let opened: unknown[];

/** A server with two questions, and the rest of the client as far as commands need it. */
function parts(more: Partial<ExplainPlan> = {}): ClientParts {
  const open = ["first", "second"].slice(0, more.questions ?? plan.questions);
  const handlers: Record<string, (params: never) => unknown> = {
    explainTarget: () => ({ endpoint: endpoint.url, model: "judge" }),
    explainBegin: () => ({ conversation: "c", plan: { ...plan, ...more } }),
    explainNext: (): ExplainStep => {
      const key = open[answers.length];
      return key === undefined
        ? { questions: [], result: { latent: 3, label: "words", problems: [] } }
        : { questions: [question(key)] };
    },
    explainAnswer: ({ text }: { text: string }) => void answers.push(text),
    explainEnd: () => void ended++,
  };
  return {
    server: { call: async (method: string, params: never) => handlers[method]!(params) },
    reports: { show: async (_: string, text: string) => void reports.push(text) },
    explorer: { open: (place: unknown) => void opened.push(place) },
    log: { info: () => {} },
    context: {
      secrets: {
        get: async (key: string) => editor.secrets.get(key),
        store: async (key: string, value: string) => void editor.secrets.set(key, value),
        delete: async (key: string) => void editor.secrets.delete(key),
      },
    },
  } as unknown as ClientParts;
}

const at = { sae: "demo", latent: 3 };

beforeEach(async () => {
  endpoint = await startEndpoint(({ messages }) => `answer to ${messages[1]!.content}`);
  Object.assign(editor, {
    isTrusted: true,
    choices: [],
    typed: undefined,
    offered: [],
    models: [],
  });
  editor.secrets.clear();
  [answers, reports, opened, ended] = [[], [], [], 0];
});
afterEach(() => endpoint.close());

test.each([
  ["Send nothing", ["judge", "Explain and test", "Send nothing"]],
  ["nothing at all", ["judge", "Explain and test"]],
])("the text is shown; who chooses %s sends nothing", async (_, choices) => {
  editor.choices = choices;
  await explainLatent(parts(), at);
  expect(reports.length).toBe(1);
  expect(reports[0]).toContain("Nothing was sent yet");
  expect(reports[0]).toContain(plan.text);
  expect(reports[0]).toContain(endpoint.url);
  expect(reports[0]).toContain("2 questions, about 99 tokens");
  expect(editor.offered.at(-1)).toEqual(["$(close) Send nothing", "$(send) Send 2 questions"]);
  expect([endpoint.asked.length, answers.length, ended]).toEqual([0, 0, 1]);
});

test("with consent that is sent, and the latent is opened", async () => {
  editor.choices = ["judge", "Explain and test", "Send 2"];
  await explainLatent(parts(), at);
  expect(endpoint.asked.map(({ messages }) => messages[1]!.content)).toEqual([
    "text of first",
    "text of second",
  ]);
  for (const { messages } of endpoint.asked) expect(plan.text).toContain(messages[1]!.content);
  expect(answers).toEqual(["answer to text of first", "answer to text of second"]);
  expect([opened, ended]).toEqual([[at], 1]);
});

test("each run asks again, unless there is nothing left to send", async () => {
  for (const choices of [
    ["judge", "Explain only", "Send 2"],
    ["judge", "Explain only"],
  ]) {
    editor.choices = choices;
    answers = [];
    await explainLatent(parts(), at);
  }
  expect(endpoint.asked.length).toBe(2);
  editor.choices = ["judge", "Explain only"];
  answers = [];
  await explainLatent(parts({ questions: 0 }), at);
  expect([endpoint.asked.length, reports.length, opened.length]).toEqual([2, 2, 2]);
});

test("nothing is asked or planned in a workspace that is not trusted", async () => {
  editor.isTrusted = false;
  await expect(explainLatent(parts(), at)).rejects.toThrow(/trust it first/);
  expect([editor.offered, ended, endpoint.asked]).toEqual([[], 0, []]);
});

test("a key is kept for its address alone, sent there, and forgotten by an empty answer", async () => {
  editor.typed = " sk-1 ";
  await setExplainKey(parts());
  expect([...editor.secrets]).toEqual([[`latentWorkbench.explainKey:${endpoint.url}`, "sk-1"]]);
  editor.choices = ["judge", "Explain only", "Send 2"];
  await explainLatent(parts(), at);
  expect(endpoint.asked[0]?.authorization).toBe("Bearer sk-1");
  // The same editor with another address in its settings.
  const other = await startEndpoint(() => "x");
  [endpoint, answers] = [other, []];
  editor.choices = ["judge", "Explain only", "Send 2"];
  await explainLatent(parts(), at);
  expect(other.asked[0]?.authorization).toBeUndefined();
  editor.typed = "";
  editor.secrets.set(`latentWorkbench.explainKey:${other.url}`, "sk-2");
  await setExplainKey(parts());
  expect(editor.secrets.has(`latentWorkbench.explainKey:${other.url}`)).toBe(false);
});

test("a refusal is told, and ends the conversation", async () => {
  endpoint.rule = (_, response) => refuse(response, 401);
  editor.choices = ["judge", "Explain only", "Send 2"];
  await expect(explainLatent(parts(), at)).rejects.toThrow(/refuses the key/);
  expect([answers, ended]).toEqual([[], 1]);
});

test("a language model of the editor is asked in its own way, and no endpoint is", async () => {
  const sent: { role: number; content: string }[][] = [];
  const model = {
    id: "gpt-editor",
    name: "Editor's",
    vendor: "somebody",
    sendRequest: async (messages: { role: number; content: string }[]) => {
      sent.push(messages);
      return {
        text: (async function* () {
          yield "ans";
          yield "wer";
        })(),
      };
    },
  };
  editor.models = [model];
  editor.choices = ["Editor's", "Explain only", "Send nothing"];
  await explainLatent(parts(), at);
  expect(sent).toEqual([]);
  editor.choices = ["Editor's", "Explain only", "Send 2"];
  await explainLatent(parts(), at);
  expect(answers).toEqual(["answer", "answer"]);
  expect(sent[0]!.map(({ role, content }) => [role, content])).toEqual([
    [1, "You explain."],
    [1, "text of first"],
    [2, "an example"],
  ]);
  expect(endpoint.asked).toEqual([]);
});
