import { expect, test } from "vitest";
import { DeviceLock } from "../../server/engine/device-lock.ts";
import { windowIds, leadingBos } from "../../server/engine/read-context.ts";
import { windowsOf } from "../../server/engine/windows.ts";

test("a context that fits is one window", () => {
  expect(windowsOf(10, 1, 10)).toEqual([{ from: 1, to: 10, readFrom: 0 }]);
});

test("a longer one has windows with half overlap, each token read where it has most left context", () => {
  expect(windowsOf(20, 1, 9)).toEqual([
    { from: 1, to: 9, readFrom: 0 },
    { from: 5, to: 13, readFrom: 9 },
    { from: 9, to: 17, readFrom: 13 },
    { from: 13, to: 20, readFrom: 17 },
  ]);
});

test.each([
  [11, 0, 10],
  [500, 1, 16],
  [257, 1, 256],
  [4097, 0, 2],
])("every token of %i is read exactly once (BOS %i, window %i)", (nTokens, nBos, n_ctx) => {
  const read = new Int32Array(nTokens);
  for (const { from, to, readFrom } of windowsOf(nTokens, nBos, n_ctx)) {
    expect(nBos + to - from).toBeLessThanOrEqual(n_ctx);
    for (let token = readFrom; token < to; token++) read[token] = (read[token] ?? 0) + 1;
    if (readFrom > 0)
      expect(readFrom - from).toBeGreaterThanOrEqual(Math.floor((n_ctx - nBos) / 2) - 1);
  }
  expect([...new Set(read)]).toEqual([1]);
});

test("every window begins with the context's BOS", () => {
  const ids = Int32Array.of(0, 11, 12, 13, 14);
  expect([...windowIds(ids, 1, { from: 3, to: 5, readFrom: 4 })]).toEqual([0, 13, 14]);
});

test("only a BOS that the policy put in front is repeated, not a chat template's tokens", () => {
  const base = { ids: Int32Array.of(0, 5), start: Int32Array.of(0, 0), end: Int32Array.of(0, 1) };
  const rest = {
    byteOfCharacter: new Uint8Array(2),
    bytesInCharacter: new Uint8Array(2),
    texts: ["", ""],
  };
  const flags = Uint8Array.of(3, 0);
  expect(leadingBos({ ...base, ...rest, flags, part: Int32Array.of(-1, 0) })).toBe(1);
  expect(leadingBos({ ...base, ...rest, flags, part: Int32Array.of(-1, -1) })).toBe(0);
  expect(
    leadingBos({ ...base, ...rest, flags: Uint8Array.of(1, 0), part: Int32Array.of(0, 0) }),
  ).toBe(0);
});

test("the device takes one job at a time, urgent ones before background ones", async () => {
  const lock = new DeviceLock();
  const order: string[] = [];
  const job = (name: string) => async (): Promise<void> => {
    order.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, 1));
    order.push(`${name} ends`);
  };
  await Promise.all([
    lock.run(job("first")),
    lock.run(job("check"), { background: true }),
    lock.run(job("hover")),
  ]);
  expect(order).toEqual([
    "first begins",
    "first ends",
    "hover begins",
    "hover ends",
    "check begins",
    "check ends",
  ]);
  await expect(lock.run(() => Promise.reject(new Error("oh")))).rejects.toThrow("oh");
  await lock.run(job("after a failure"));
});
