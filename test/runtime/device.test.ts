import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UserError } from "../../server/base/errors.ts";
import { print } from "../../server/graph/print.ts";
import {
  buildCheckGraph,
  checkFeeds,
  checkOutputs,
  judgeCheck,
  largestRowError,
} from "../../server/runtime/check-graph.ts";
import { Device, openDevice, probeDevices, runtimeVersion } from "../../server/runtime/device.ts";
import { toFloat32 } from "../../server/tensor/half.ts";
import { type Tensor, tensor } from "../../server/tensor/tensor.ts";

const settings = { threads: 1, memoryBudget: 2 ** 30 };
let tf32: string | undefined;

beforeEach(() => {
  tf32 = process.env["NVIDIA_TF32_OVERRIDE"];
});
afterEach(() => {
  if (tf32 === undefined) delete process.env["NVIDIA_TF32_OVERRIDE"];
  else process.env["NVIDIA_TF32_OVERRIDE"] = tf32;
});

describe("opening a device", () => {
  test("cpu", async () => {
    const { device, reports } = await openDevice({ ...settings, device: "cpu" });
    expect(device).toMatchObject({ name: "cpu", threads: 1 });
    expect(device.ledger.budget).toBe(2 ** 30);
    expect(reports).toEqual([{ device: "cpu", chosen: true }]);
  });
  test("cpu with threads left to us", async () => {
    const { device } = await openDevice({ ...settings, threads: 0, device: "cpu" });
    expect(device.threads).toBeGreaterThan(0);
  });
  test("auto ends at a device, and every one before it has its reason", async () => {
    const { device, reports } = await openDevice({ ...settings, device: "auto" });
    expect(reports.at(-1)).toMatchObject({ device: device.name, chosen: true });
    for (const report of reports.slice(0, -1)) {
      expect(report.chosen).toBe(false);
      expect(report.refusal).toMatch(/\w/);
    }
    await device.close();
  });
  test("cuda is refused while TF32 is on", async () => {
    delete process.env["NVIDIA_TF32_OVERRIDE"];
    const error = await openDevice({ ...settings, device: "cuda" }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(UserError);
    expect(error).toMatchObject({
      code: "deviceRefused",
      message:
        "no usable device (cuda: NVIDIA_TF32_OVERRIDE is not 0, so float32 products would be rounded to 10 bits). " +
        "Choose another with the setting latentWorkbench.device",
    });
  });
  test("cuda without its libraries is refused in words", async () => {
    process.env["NVIDIA_TF32_OVERRIDE"] = "0";
    const cuda = await probeDevices({ ...settings, device: "auto" }).then((reports) =>
      reports.find(({ device }) => device === "cuda"),
    );
    delete process.env["NVIDIA_TF32_OVERRIDE"];
    // Where there is a GPU, there is a figure in place of a reason.
    expect(cuda?.refusal ?? "").not.toMatch(/OrtSessionOptions/);
  });
  test("a provider that this platform has not is refused in words", async () => {
    const device = process.platform === "win32" ? "coreml" : "dml";
    const error = await openDevice({ ...settings, device }).catch((e: unknown) => e);
    expect((error as Error).message).toMatch(
      new RegExp(`no usable device \\(${device}: .*backend`),
    );
  });
  test("a diagnosis tries all of this platform's, to the reason or the figure", async () => {
    const reports = await probeDevices({ ...settings, device: "auto" });
    expect(reports.at(-1)).toEqual({ device: "cpu", chosen: false });
    expect(reports.map(({ device }) => device)).toContain("webgpu");
    for (const { refusal, checkError } of reports.slice(0, -1)) {
      expect(refusal ?? checkError).toBeDefined();
    }
  });
  test("the version of ONNX Runtime is known", () => {
    expect(runtimeVersion).toMatch(/^\d+\.\d+\.\d+/);
  });
});

describe("the check graph", () => {
  test("gives rows of ordinary size, so that a relative error means something", async () => {
    const device = new Device("cpu", 1, 2 ** 30);
    const session = await device.load(buildCheckGraph(), { label: "check" });
    const results = await session.run(checkFeeds(), checkOutputs);
    const rms = (name: string) => {
      const x = toFloat32(results[name]!);
      return Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length);
    };
    expect(rms("resid_post")).toBeGreaterThan(0.5);
    expect(rms("preActs")).toBeGreaterThan(0.5);
    for (const name of checkOutputs) {
      expect(largestRowError(results[name]!, results[name]!)).toBe(0);
    }
    await device.close();
  });
  test("refuses a device that rounds to 10 bits, with the figure", async () => {
    const device = new Device("cpu", 1, 2 ** 30);
    const session = await device.load(buildCheckGraph(), { label: "check" });
    const expected = await session.run(checkFeeds(), checkOutputs);
    expect(judgeCheck(expected, expected)).toEqual({ checkError: 0 });
    const rounded = Float32Array.from(toFloat32(expected["preActs"]!), (v) => {
      const step = 2 ** (Math.floor(Math.log2(Math.abs(v))) - 10);
      return Math.round(v / step) * step;
    });
    const found = { ...expected, preActs: { ...expected["preActs"]!, data: rounded } as Tensor };
    const { refusal, checkError } = judgeCheck(found, expected);
    expect(checkError).toBeGreaterThan(1e-4);
    expect(refusal).toBe(
      `differs from the CPU by ${checkError.toExponential(1)} of a row's RMS, allowed is 0.0001`,
    );
    await device.close();
  });
  test("covers attention, norms, activations and encoding", () => {
    const text = print(buildCheckGraph());
    for (const name of ["softmax", "rmsNorm", "layerNorm", "gelu", "sigmoid", "gemm", "topk"]) {
      expect(text).toContain(` = ${name} `);
    }
  });
});

const rows = (...values: number[]) => tensor("float32", [2, 2], Float32Array.from(values));

describe("the error of a row", () => {
  test("is the largest difference over the row's RMS", () => {
    expect(largestRowError(rows(3, 4, 30, 40.5), rows(3, 4, 30, 40))).toBeCloseTo(
      0.5 / Math.sqrt(1250),
      6,
    );
    expect(largestRowError(rows(3, 4.5, 30, 40), rows(3, 4, 30, 40))).toBeCloseTo(
      0.5 / Math.sqrt(12.5),
      6,
    );
  });
  test("is infinite for NaN", () => {
    expect(largestRowError(rows(3, NaN, 30, 40), rows(3, 4, 30, 40))).toBe(Infinity);
    expect(largestRowError(rows(NaN, 4, 30, 40), rows(3, 4, 30, 40))).toBe(Infinity);
  });
  test("is infinite for another shape", () => {
    expect(largestRowError(tensor("float32", [1], new Float32Array(1)), rows(1, 2, 3, 4))).toBe(
      Infinity,
    );
  });
});
