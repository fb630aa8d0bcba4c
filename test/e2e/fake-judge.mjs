// A language model on this machine, as OpenAI-compatible endpoints speak: it explains every latent alike, and counts what it is asked.
import { createServer } from "node:http";

/** Listens on a free loopback port; `asked` grows with every question. */
export async function startJudge() {
  const asked = [];
  const respond = async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    const { messages } = JSON.parse(body);
    asked.push({ messages, authorization: request.headers.authorization });
    const message = { role: "assistant", content: answerTo(messages) };
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ choices: [{ message }] }));
  };
  const server = createServer((request, response) => void respond(request, response));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}/v1`;
  return { url, asked, close: () => server.close() };
}

function answerTo(messages) {
  const [system, last] = [messages[0].content, messages.at(-1).content];
  if (system.includes("in one sentence")) return "This neuron activates on <b>articles</b>.";
  if (!system.includes("in brackets")) return "None";
  return JSON.stringify(last.match(/^Example \d+:/gm).map(() => 1));
}
