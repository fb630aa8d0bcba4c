// How an endpoint is asked: what is sent, what is tried again, what stops.
import { afterEach, expect, test } from "vitest";
import { askEndpoint, checkEndpoint } from "../../server/chat/endpoint.ts";
import { type FakeEndpoint, refuse, type Rule, startEndpoint } from "./fake-endpoint.ts";

let fake: FakeEndpoint | undefined;
afterEach(() => fake?.close());

const messages = [{ role: "user", content: "What fires here?" }] as const;
const key = "sk-secret-123";

async function ask(rule: Rule, options: { timeoutMs?: number; retries?: number } = {}) {
  fake = await startEndpoint(rule);
  const waits: string[] = [];
  const controller = new AbortController();
  const answer = askEndpoint(
    { url: fake.url, model: "judge", key, ...options },
    { messages, maxTokens: 20 },
    { signal: controller.signal, onWait: (text) => waits.push(text) },
  );
  return { answer, waits, controller, fake };
}

test("sends model, messages and key, and takes the answer's text", async () => {
  const { answer, fake } = await ask(() => "water");
  expect(await answer).toBe("water");
  expect(fake.asked).toEqual([{ model: "judge", messages, authorization: `Bearer ${key}` }]);
});

test("waits as long as it is told by a 429, and tries again", async () => {
  let calls = 0;
  const { answer, waits } = await ask((_, response) =>
    ++calls < 3 ? refuse(response, 429, { "Retry-After": "0.2" }) : "water",
  );
  const started = performance.now();
  expect(await answer).toBe("water");
  expect(performance.now() - started).toBeGreaterThan(390);
  expect(waits).toEqual(Array(2).fill("HTTP 429: trying again in 0.2 s"));
});

test("does not wait for an hour", async () => {
  const { answer } = await ask((_, response) => refuse(response, 503, { "Retry-After": "3600" }));
  await expect(answer).rejects.toThrow(/asks to wait 3600 s/);
});

test("one that hangs is given up, and asked again", async () => {
  let calls = 0;
  const { answer, waits } = await ask(() => (++calls === 1 ? undefined : "late"), {
    timeoutMs: 150,
  });
  expect(await answer).toBe("late");
  expect(waits).toEqual(["no answer in 0.15 s: trying again in 1 s"]);
});

test("one that is slow is waited for; one that is never there is named", async () => {
  const slow = await ask((_, response) => void setTimeout(() => response.end(completion), 250));
  expect(await slow.answer).toBe("slow");
  await slow.fake.close();
  const gone = { url: slow.fake.url, model: "judge", retries: 0 };
  const { signal } = new AbortController();
  await expect(askEndpoint(gone, { messages, maxTokens: 20 }, { signal })).rejects.toThrow(
    /did not answer in 1 attempts \(ECONNREFUSED\)/,
  );
});
const completion = JSON.stringify({ choices: [{ message: { content: "slow" } }] });

test.each([
  [401, "endpoint-unauthorised", /refuses the key \(HTTP 401\): bad … here; set another key/],
  [404, "endpoint-refuses", /HTTP 404.*check the model's name/],
  [400, "endpoint-refuses", /HTTP 400/],
])("HTTP %i stops at once, and the key is in no error", async (status, code, text) => {
  const { answer, fake } = await ask((_, response) =>
    refuse(response, status, {}, `bad ${key} here`),
  );
  const error = await answer.then(
    () => undefined,
    (it: unknown) => it as Error & { code: string },
  );
  expect(error?.code).toBe(code);
  expect(error?.message).toMatch(text);
  expect(error?.message).not.toContain(key);
  expect(fake.asked.length).toBe(1);
});

test.each([
  ["no JSON", "<html>hello</html>", /no JSON: <html>hello/],
  ["another shape", '{"answer":"water"}', /"answer":"water"/],
  ["null", "null", /something else than a chat completion/],
  ["endless", "x".repeat(2 ** 20 + 1), /more than 1048576 bytes/],
])("an answer that is none: %s", async (_, body, text) => {
  const { answer, fake } = await ask((_asked, response) => void response.end(body));
  await expect(answer).rejects.toThrow(text);
  expect(fake.asked.length).toBe(1);
});

test("is sent nowhere else: a redirect is no answer", async () => {
  const elsewhere = await startEndpoint(() => "stolen");
  try {
    const Location = `${elsewhere.url}/chat/completions`;
    const { answer } = await ask((_, response) => refuse(response, 307, { Location }));
    await expect(answer).rejects.toThrow(/refuses \(HTTP 307\)/);
    expect(elsewhere.asked).toEqual([]);
  } finally {
    await elsewhere.close();
  }
});

test("can be cancelled while it waits", async () => {
  const { answer, controller } = await ask(() => undefined);
  setTimeout(() => controller.abort(), 50);
  await expect(answer).rejects.toThrow(/abort/i);
});

test("addresses: this machine or encrypted, and nothing hidden in them", () => {
  expect(checkEndpoint("https://api.example.com/v1/")).toBe("https://api.example.com/v1");
  expect(checkEndpoint("http://localhost:11434/v1/chat/completions")).toBe(
    "http://localhost:11434/v1",
  );
  expect(checkEndpoint("http://[::1]:8080")).toBe("http://[::1]:8080");
  expect(() => checkEndpoint("http://api.example.com/v1")).toThrow(/unencrypted/);
  expect(() => checkEndpoint("http://127.0.0.1.example.com/v1")).toThrow(/unencrypted/);
  expect(() => checkEndpoint("https://me:pw@api.example.com/v1")).toThrow(/has a user/);
  expect(() => checkEndpoint("file:///etc/passwd")).toThrow(/begins with file:/);
  expect(() => checkEndpoint("api.example.com")).toThrow(/is no address/);
});
