import { describe, expect, test } from "vitest";
import * as dims from "../../server/graph/dims.ts";

describe("symbolic dimensions", () => {
  test("are spelled one way", () => {
    expect(dims.canonicalDim("tokens + past")).toBe("past+tokens");
    expect(dims.canonicalDim("tokens*2+tokens")).toBe("3*tokens");
    expect(dims.canonicalDim("1*tokens-tokens")).toBe(0);
    expect(dims.canonicalDim("tokens*batch")).toBe("batch*tokens");
    expect(dims.canonicalDim("tokens-1+past")).toBe("past+tokens-1");
    expect(dims.canonicalDim("2-past")).toBe("2-past");
  });
  test("add", () => {
    expect(dims.addDims("past", "tokens")).toBe("past+tokens");
    expect(dims.addDims("past+tokens", "-1*past")).toBe("tokens");
    expect(dims.addDims("tokens", 3, -3)).toBe("tokens");
    expect(dims.addDims(2, 3)).toBe(5);
  });
  test("subtract", () => {
    expect(dims.subtractDims("past+tokens", "tokens-1")).toBe("past+1");
    expect(dims.subtractDims("tokens", "tokens-1")).toBe(1);
  });
  test("multiply", () => {
    expect(dims.multiplyDims(["tokens", 9, 64])).toBe("576*tokens");
    expect(dims.multiplyDims(["past+tokens", "past"])).toBe("past*past+past*tokens");
    expect(dims.multiplyDims([])).toBe(1);
  });
  test("divide where the quotient is certain", () => {
    expect(dims.divideDims(["tokens", 576], ["tokens", 9])).toBe(64);
    expect(dims.divideDims(["past+tokens", 576], ["past+tokens", 9])).toBe(64);
    expect(dims.divideDims(["batch", "tokens", 8], [8])).toBe("batch*tokens");
    expect(dims.divideDims(["2*past+4*tokens"], [2])).toBe("past+2*tokens");
    expect(dims.divideDims(["tokens", 10], ["tokens", 3])).toBeUndefined();
    expect(dims.divideDims(["tokens"], ["past"])).toBeUndefined();
  });
  test("have a value once their names have", () => {
    const sizes = new Map([
      ["past", 3],
      ["tokens", 4],
    ]);
    expect(dims.evaluateDim("past*tokens+2*past-1", sizes)).toBe(17);
    expect(dims.evaluateDim("batch", sizes)).toBeUndefined();
    expect(dims.evaluateDim(7, sizes)).toBe(7);
  });
});
