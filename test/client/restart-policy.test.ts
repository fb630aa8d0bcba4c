import { expect, test } from "vitest";
import { RestartPolicy } from "../../client/restart-policy.ts";

const minute = 60_000;

test("a server that ended five times within three minutes stays off", () => {
  const policy = new RestartPolicy();
  const answers = [0, 10, 20, 30, 40].map((now) => policy.mayRestart(now));
  expect(answers).toEqual([true, true, true, true, false]);
});

test("ends long ago are forgiven", () => {
  const policy = new RestartPolicy();
  for (const now of [0, 1, 2, 3]) policy.mayRestart(now * minute);
  expect(policy.mayRestart(4 * minute)).toBe(true);
});
