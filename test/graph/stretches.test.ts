/** The largest of rows looked for in stretches, against TopK of whole rows: the same values at the same places. */
import { expect, test } from "vitest";
import { topkInStretches, stretchesOf } from "../../server/graph/stretches.ts";
import { topk } from "../../server/graph/ops/index.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { randomTensor, runOp } from "./check-op.ts";

test.each([
  [9216, 10],
  [9216, 1],
  [4096, 700],
  [6000, 6000],
])("%i numbers, %i of them", async (width, k) => {
  const x = randomTensor([3, width]);
  // Numbers that are equal stand in the order of their places.
  for (let at = 0; at < x.data.length; at += 3) x.data[at] = Math.round(x.data[at]!);
  const length = width / stretchesOf(width);
  expect(length).toBeLessThanOrEqual(2048);
  const perStretch = tensor("int64", [1], BigInt64Array.of(BigInt(Math.min(k, length))));
  const count = tensor("int64", [1], BigInt64Array.of(BigInt(k)));
  const whole = await runOp([x, count], (rows, n) => Object.values(topk(rows, n)), [
    ["tokens", width],
  ]);
  const cut = await runOp(
    [x, count, perStretch],
    (rows, n, own) => Object.values(topkInStretches(rows, n, own)),
    [["tokens", width]],
  );
  expect(cut.outputs[0]!.data).toEqual(whole.outputs[0]!.data);
  expect(Array.from(cut.outputs[1]!.data, Number)).toEqual(
    Array.from(whole.outputs[1]!.data, Number),
  );
});
