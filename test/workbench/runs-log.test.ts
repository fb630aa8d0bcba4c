import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseRunEvent, RunLog } from "../../server/workbench/runs-log.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "runs-log-"));
  path = join(folder, "events.jsonl");
});
afterEach(() => rmSync(folder, { recursive: true }));

const line = (step: number, loss: number, more = {}): string =>
  `${JSON.stringify({ step, lr: 0.001, loss, l0: 16, dead: 0, ...more })}\n`;

test("events are read as they come; a line that is half written waits", async () => {
  const log = new RunLog(path);
  await log.refresh();
  expect(log.saes).toEqual([]);
  const second = line(1, 5);
  writeFileSync(path, line(0, 10) + second.slice(0, 12));
  await log.refresh();
  expect(log.last("")).toEqual({ step: 0, lr: 0.001, loss: 10, l0: 16, dead: 0 });
  appendFileSync(path, second.slice(12) + line(2, 4, { fvu: 0.3 }));
  await log.refresh();
  expect(log.curves("", { points: 10 })).toMatchObject({
    steps: [0, 1, 2],
    values: { loss: [10, 5, 4], fvu: [null, null, 0.3], rowsPerSecond: [null, null, null] },
    firstStep: 0,
    lastStep: 2,
  });
});

test("what a resumed run cut off is forgotten, even if the file is longer again", async () => {
  const log = new RunLog(path);
  writeFileSync(path, line(0, 10) + line(1, 5) + line(2, 4));
  await log.refresh();
  truncateSync(path, line(0, 10).length);
  appendFileSync(path, line(1, 7, { rowsPerSecond: 100_000 }) + line(2, 6) + line(3, 5));
  await log.refresh();
  expect(log.curves("", { points: 10 }).values.loss).toEqual([10, 7, 6, 5]);
  truncateSync(path, line(0, 10).length);
  await log.refresh();
  expect(log.curves("", { points: 10 }).steps).toEqual([0]);
});

test("a range is thinned to as many means as asked for", async () => {
  const log = new RunLog(path);
  const steps = Array.from({ length: 1000 }, (_, step) => line(step, step));
  writeFileSync(path, steps.join(""));
  await log.refresh();
  const all = log.curves("", { points: 10 });
  expect(all.steps).toEqual([99, 199, 299, 399, 499, 599, 699, 799, 899, 999]);
  expect(all.values.loss[0]).toBe(49.5);
  const part = log.curves("", { fromStep: 500, toStep: 503, points: 10 });
  expect(part.steps).toEqual([500, 501, 502, 503]);
  expect(part).toMatchObject({ firstStep: 0, lastStep: 999 });
  expect(log.curves("other", { points: 10 }).steps).toEqual([]);
});

test("the SAEs of a sweep have columns of their own", async () => {
  const log = new RunLog(path);
  writeFileSync(
    path,
    line(0, 1, { sae: "k8" }) + line(0, 2, { sae: "k16" }) + line(1, 3, { sae: "k8" }),
  );
  await log.refresh();
  expect(log.saes).toEqual(["k8", "k16"]);
  expect(log.last("k8")).toMatchObject({ step: 1, loss: 3 });
  expect(log.last("k16")).toMatchObject({ step: 0, loss: 2 });
});

test("a large file is read in pieces", async () => {
  const log = new RunLog(path);
  const more = { note: "x".repeat(1000) };
  writeFileSync(path, Array.from({ length: 3000 }, (_, step) => line(step, 1, more)).join(""));
  await log.refresh();
  expect(log.last("")?.step).toBe(2999);
  expect(log.curves("", { points: 5 }).firstStep).toBe(0);
});

test("lines that tell of no step are no events", () => {
  expect(parseRunEvent('{"event": "started", "lr": 1}')).toBeUndefined();
  expect(parseRunEvent('{"step": 3, "event": "checkpoint"}')).toBeUndefined();
  expect(parseRunEvent('{"step": 3, "lr')).toBeUndefined();
  expect(parseRunEvent('{"step": 3, "lr": 1, "loss": null}')?.figures).toEqual({ step: 3, lr: 1 });
});
