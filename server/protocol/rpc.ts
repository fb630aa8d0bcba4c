/**
 * One small RPC for every process boundary: server and reader, page and server.
 *
 * A boundary is a method table (an interface of functions); both ends derive their types from it, so a
 * wrong pairing of request and answer does not compile. Messages are plain data plus typed arrays and never
 * assume shared memory. A handler that throws always answers; a cancelled call is answered too.
 */
import { isCancelled, UserError } from "../base/errors.ts";

/** Carries messages to the other side and back; an IPC channel, a webview, or a pair in a test. */
export interface Port {
  post(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
}

type Params<M, K extends keyof M> = M[K] extends (params: infer P) => unknown ? P : never;
type Result<M, K extends keyof M> = M[K] extends (params: never) => infer R ? R : never;

/** What a side that serves the table `M` implements. */
export type Handlers<M> = {
  [K in keyof M]: (
    params: Params<M, K>,
    signal: AbortSignal,
  ) => Promise<Result<M, K>> | Result<M, K>;
};

/** Why a call failed: `code` is stable, `text` is for people. */
export interface Failure {
  readonly kind: "user" | "cancelled" | "bug";
  readonly code: string;
  readonly text: string;
}

type Message =
  | { type: "call"; id: number; method: string; params: unknown }
  | { type: "cancel"; id: number }
  | { type: "ok"; id: number; value: unknown }
  | { type: "failed"; id: number; failure: Failure }
  | { type: "event"; event: string; params: unknown };

/** The calling end of a table: typed calls, cancellation by signal, events from the other side. */
export class Caller<M> {
  readonly #port: Port;
  readonly #waiting = new Map<
    number,
    { resolve(value: unknown): void; reject(error: Error): void }
  >();
  #nextId = 1;

  constructor(port: Port, onEvent: (event: string, params: unknown) => void = () => {}) {
    this.#port = port;
    port.onMessage((message) => {
      const received = message as Message;
      if (received.type === "event") onEvent(received.event, received.params);
      if (received.type !== "ok" && received.type !== "failed") return;
      const waiting = this.#waiting.get(received.id);
      this.#waiting.delete(received.id);
      if (received.type === "ok") waiting?.resolve(received.value);
      else waiting?.reject(errorOf(received.failure));
    });
  }

  /** Calls a method of the table; rejects with `UserError`, an `AbortError` or a plain `Error` (a bug). */
  call<K extends keyof M & string>(
    method: K,
    params: Params<M, K>,
    signal?: AbortSignal,
  ): Promise<Result<M, K>> {
    if (signal?.aborted) return Promise.reject(cancelled());
    const id = this.#nextId++;
    const answer = new Promise<unknown>((resolve, reject) =>
      this.#waiting.set(id, { resolve, reject }),
    );
    const cancel = (): void => this.#port.post({ type: "cancel", id } satisfies Message);
    signal?.addEventListener("abort", cancel, { once: true });
    this.#port.post({ type: "call", id, method, params } satisfies Message);
    return answer.finally(() => signal?.removeEventListener("abort", cancel)) as Promise<
      Result<M, K>
    >;
  }

  /** Rejects every open call, for a peer that is gone. */
  abandon(reason: Error): void {
    for (const waiting of this.#waiting.values()) waiting.reject(reason);
    this.#waiting.clear();
  }
}

/**
 * Serves a table over a port. Calls run concurrently as far as the handlers let them; returns a function that
 * sends events to the other side. `onBug` hears of every error that is neither a user's nor a cancellation.
 */
export function serve<M>(
  port: Port,
  handlers: Handlers<M>,
  onBug: (error: unknown, method: string) => void = () => {},
): (event: string, params: unknown) => void {
  const running = new Map<number, AbortController>();
  const table = handlers as Record<
    string,
    ((params: unknown, signal: AbortSignal) => unknown) | undefined
  >;
  port.onMessage((message) => {
    const received = message as Message;
    if (received.type === "cancel") running.get(received.id)?.abort();
    if (received.type === "call") void answer(received);
  });
  async function answer({ id, method, params }: Extract<Message, { type: "call" }>): Promise<void> {
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const handler = table[method];
      if (!handler) throw new Error(`no method ${method}`);
      const value = await handler(params, controller.signal);
      port.post({ type: "ok", id, value } satisfies Message);
    } catch (error) {
      const failure = failureOf(error);
      if (failure.kind === "bug") onBug(error, method);
      port.post({ type: "failed", id, failure } satisfies Message);
    } finally {
      running.delete(id);
    }
  }
  return (event, params) => port.post({ type: "event", event, params } satisfies Message);
}

/** An error as plain data. */
export function failureOf(error: unknown): Failure {
  if (isCancelled(error)) return { kind: "cancelled", code: "cancelled", text: "cancelled" };
  if (error instanceof UserError) return { kind: "user", code: error.code, text: error.message };
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { kind: "bug", code: "bug", text };
}

/** Plain data as the error it came from. */
export function errorOf(failure: Failure): Error {
  if (failure.kind === "cancelled") return cancelled();
  if (failure.kind === "user") return new UserError(failure.code, failure.text);
  return new Error(failure.text);
}

function cancelled(): Error {
  return new DOMException("cancelled", "AbortError");
}
