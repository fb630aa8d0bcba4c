/** Where a condition holds: an op with as many results as there are such places. */
import type { Value } from "../graph/graph.ts";
import { applyOne, defineOp, expectDType } from "../graph/op.ts";

const nonzeroOp = defineOp({
  name: "nonzero",
  onnx: "NonZero",
  shape([x], _, fail) {
    expectDType(x!, ["bool"], fail);
    return [{ dtype: "int64", dims: [x!.dims.length, "found"] }];
  },
});

/** Indices of the true elements, in order: one row for each dimension. `[…] -> [rank, found]` */
export function nonzero(condition: Value): Value {
  return applyOne(nonzeroOp, [condition], {});
}
