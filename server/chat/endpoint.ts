/**
 * Asks a language model behind an OpenAI-compatible endpoint (`POST …/chat/completions`), as OpenAI, OpenRouter, vLLM,
 * llama.cpp and Ollama serve it. Beside `files` the only code that goes over the network, and the only one with a key of
 * such an endpoint: it runs in the editor's own process or in the command line, so that no key crosses to another.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "../base/errors.ts";
import type { ChatMessage } from "../protocol/explain.ts";
import {
  badChatAnswer,
  badEndpoint,
  endpointRefuses,
  endpointUnreachable,
  endpointWaits,
} from "./errors.ts";

/** Where to ask, and whom. */
export interface ChatEndpoint {
  /** Up to and without `/chat/completions`. */
  readonly url: string;
  readonly model: string;
  readonly key?: string | undefined;
  /** Of one attempt. */
  readonly timeoutMs?: number | undefined;
  /** Attempts after the first that did not succeed. */
  readonly retries?: number | undefined;
}

/** What is asked. */
export interface ChatRequest {
  readonly messages: readonly ChatMessage[];
  readonly maxTokens: number;
}

/** The first wait where the endpoint names none; each further one is twice as long. */
const firstWaitMs = 1000;
const defaultRetries = 4;
/** The longest wait that an endpoint may ask for. */
const longestWaitMs = 120_000;
const defaultTimeoutMs = 60_000;
/** Answers are a sentence or a list; what is longer than this is something else. */
const mostBytes = 2 ** 20;

/** The address in its plain form; throws for one that must not be used. Plain HTTP is for this machine only. */
export function checkEndpoint(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw badEndpoint(text, "is no address");
  }
  if (url.protocol !== "https:" && url.protocol !== "http:")
    throw badEndpoint(text, `begins with ${url.protocol}`);
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "")
    throw badEndpoint(
      `${url.origin}${url.pathname}`,
      "has a user, a password, a query or a fragment",
    );
  const isLocal = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol === "http:" && !isLocal)
    throw badEndpoint(text, "would send texts and key unencrypted to another machine");
  return `${url.origin}${url.pathname.replace(/\/+$/, "").replace(/\/chat\/completions$/, "")}`;
}

/** The answer's text. Waits and tries again where that may help; `onWait` hears for how long and why. */
export async function askEndpoint(
  endpoint: ChatEndpoint,
  request: ChatRequest,
  { signal, onWait }: { signal: AbortSignal; onWait?: (text: string) => void },
): Promise<string> {
  const url = `${checkEndpoint(endpoint.url)}/chat/completions`;
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted();
    const found = await attemptOnce(url, endpoint, request, signal);
    if (found.text !== undefined) return found.text;
    const { waitMs: ms = firstWaitMs * 2 ** attempt } = found;
    if (attempt >= (endpoint.retries ?? defaultRetries))
      throw endpointUnreachable(url, attempt + 1, found.why);
    if (ms > longestWaitMs) throw endpointWaits(url, Math.ceil(ms / 1000));
    onWait?.(`${found.why}: trying again in ${(ms / 1000).toFixed(ms < 1000 ? 1 : 0)} s`);
    await sleep(ms, undefined, { signal });
  }
}

/** The answer, or why to try again and after how long. */
type Attempt =
  | { readonly text: string }
  | { readonly text?: undefined; readonly why: string; readonly waitMs?: number | undefined };

async function attemptOnce(
  url: string,
  { model, key, timeoutMs = defaultTimeoutMs }: ChatEndpoint,
  { messages, maxTokens }: ChatRequest,
  signal: AbortSignal,
): Promise<Attempt> {
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Accept: "application/json",
        ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
      },
      body: JSON.stringify({ model, messages, max_tokens: maxTokens, temperature: 0 }),
      // Another place was not consented to.
      redirect: "manual",
      signal: AbortSignal.any([signal, timeout]),
    });
    const body = await readBody(response, url);
    if (response.ok) return { text: contentOf(body, url) };
    const { status } = response;
    if (status !== 408 && status !== 429 && status < 500)
      throw endpointRefuses(url, status, saidIn(body, key));
    return { why: `HTTP ${status}`, waitMs: retryAfter(response.headers.get("retry-after")) };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof UserError) throw error;
    if (timeout.aborted) return { why: `no answer in ${timeoutMs / 1000} s` };
    return { why: reasonOf(error) };
  }
}

/** The innermost reason: fetch itself says only that it failed. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  if (cause instanceof Error) {
    const { code } = cause as { code?: unknown };
    return typeof code === "string" ? code : cause.message;
  }
  return error instanceof Error ? error.message : String(error);
}

async function readBody(response: Response, url: string): Promise<string> {
  const reader = response.body?.getReader();
  if (!reader) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.length;
    if (bytes > mostBytes) {
      await reader.cancel();
      throw badChatAnswer(url, `more than ${mostBytes} bytes`);
    }
    text += decoder.decode(value, { stream: true });
  }
}

/** `choices[0].message.content`, a text or a list of parts with texts. */
function contentOf(body: string, url: string): string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw badChatAnswer(url, `no JSON: ${excerpt(body)}`);
  }
  const { choices } = (value ?? {}) as { choices?: unknown };
  const first = Array.isArray(choices) ? (choices[0] as { message?: unknown } | null) : undefined;
  const { content } = (first?.message ?? {}) as { content?: unknown };
  if (typeof content === "string") return content;
  if (Array.isArray(content))
    return content
      .map((part) => (part as { text?: unknown } | null)?.text)
      .filter((it) => typeof it === "string")
      .join("");
  throw badChatAnswer(url, excerpt(body));
}

/** What an error's body says, without the key should it be repeated there. */
function saidIn(body: string, key: string | undefined): string {
  let said = body;
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown } | string };
    const message = typeof error === "string" ? error : error?.message;
    if (typeof message === "string") said = message;
  } catch {
    // A page or a sentence.
  }
  const text = excerpt(key === undefined || key === "" ? said : said.replaceAll(key, "…"));
  return text === "" ? "" : `: ${text}`;
}

function excerpt(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}

/** Seconds or a date (RFC 9110, 10.2.3), as milliseconds from now. */
function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = Number(header);
  if (header.trim() !== "" && Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}
