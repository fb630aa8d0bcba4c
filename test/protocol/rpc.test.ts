import { expect, test } from "vitest";
import { UserError } from "../../server/base/errors.ts";
import { Caller, type Port, serve } from "../../server/protocol/rpc.ts";

interface Methods {
  double(params: { value: number }): number;
  fail(params: { how: "user" | "bug" }): never;
  wait(params: Record<string, never>): string;
}

/** Two ports that speak to each other, each message a turn later and as plain data. */
function pair(): [Port, Port] {
  const listeners: ((message: unknown) => void)[][] = [[], []];
  const port = (mine: number): Port => ({
    post: (message) => {
      const copy = structuredClone(message);
      queueMicrotask(() => listeners[1 - mine]?.forEach((listener) => listener(copy)));
    },
    onMessage: (listener) => void listeners[mine]?.push(listener),
  });
  return [port(0), port(1)];
}

const bugs: unknown[] = [];
const [near, far] = pair();
serve<Methods>(
  far,
  {
    double: ({ value }) => 2 * value,
    fail: ({ how }) => {
      throw how === "user" ? new UserError("no-such-thing", "there is no thing") : new Error("oh");
    },
    wait: (_, signal) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason as Error)),
      ),
  },
  (error) => bugs.push(error),
);
const caller = new Caller<Methods>(near);

test("answers come back to the call that asked", async () => {
  const answers = [1, 2, 3].map((value) => caller.call("double", { value }));
  expect(await Promise.all(answers)).toEqual([2, 4, 6]);
});

test("a user's error keeps its code and text, a bug is heard and answered", async () => {
  await expect(caller.call("fail", { how: "user" })).rejects.toMatchObject({
    code: "no-such-thing",
    message: "there is no thing",
  });
  expect(bugs).toEqual([]);
  await expect(caller.call("fail", { how: "bug" })).rejects.toThrow("oh");
  expect(bugs).toHaveLength(1);
});

test("a cancelled call is answered as cancelled", async () => {
  const controller = new AbortController();
  const waiting = caller.call("wait", {}, controller.signal);
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
});

test("a peer that is gone rejects what was open", async () => {
  const [lonely] = pair();
  const alone = new Caller<Methods>(lonely);
  const waiting = alone.call("wait", {});
  alone.abandon(new Error("the reader stopped"));
  await expect(waiting).rejects.toThrow("the reader stopped");
});
