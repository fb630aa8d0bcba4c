/** A language model on this machine that answers by a rule, and counts what it was asked. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ChatMessage } from "../../server/protocol/explain.ts";

/** What was sent. */
export interface Asked {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly authorization: string | undefined;
}

/** Answers a text, or does with the response what it likes. */
export type Rule = (asked: Asked, response: ServerResponse) => string | undefined;

/** A running endpoint. */
export interface FakeEndpoint {
  readonly url: string;
  readonly asked: Asked[];
  rule: Rule;
  close(): Promise<void>;
}

/** Listens on a free port of the loopback device. */
export async function startEndpoint(rule: Rule): Promise<FakeEndpoint> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      const { model, messages } = JSON.parse(body) as Asked;
      const one = { model, messages, authorization: request.headers.authorization };
      asked.push(one);
      const text = endpoint.rule(one, response);
      if (text !== undefined) sendAnswer(response, text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const endpoint: FakeEndpoint = {
    url: `http://127.0.0.1:${port}/v1`,
    asked,
    rule,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return endpoint;
}

/** A chat completion. */
export function sendAnswer(response: ServerResponse, content: string): void {
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify({ choices: [{ message: { role: "assistant", content } }] }));
}

/** A refusal. */
export function refuse(
  response: ServerResponse,
  status: number,
  headers: Record<string, string> = {},
  message = "no",
): undefined {
  response.writeHead(status, headers);
  response.end(JSON.stringify({ error: { message } }));
}

/** A judge that takes an explanation such as `the word "of"` at its word, and gives that explanation to everything. */
export function wordJudge(word: string): Rule {
  return ({ messages }) => {
    const [system, last] = [messages[0]!.content, messages.at(-1)!.content];
    if (system.includes("Say in one sentence"))
      return `This neuron activates on the word "${word}".`;
    const said = /"(.*?)"/.exec(last)?.[1] ?? "";
    const texts = [...last.matchAll(/^(?:\d+\.|Example \d+:) (.*)$/gm)].map(
      ([, text]) => text ?? "",
    );
    if (!system.includes("in brackets")) {
      const found = texts.flatMap((text, at) => (hasWord(text, said) ? [at + 1] : []));
      return found.length === 0 ? "None" : found.join(", ");
    }
    const marks = texts.map((text) =>
      [...text.matchAll(/<<(.*?)>>/g)].every(([, marked]) => marked?.trim() === said) ? 1 : 0,
    );
    return `[${marks.join(", ")}]`;
  };
}

function hasWord(text: string, word: string): boolean {
  return text.split(/[^\p{L}]+/u).includes(word);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const piece of request) body += String(piece);
  return body;
}
