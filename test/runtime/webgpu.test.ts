/**
 * The part "webgpu" of the tests: the same graphs on WebGPU. Without a GPU, a software Vulkan driver will do:
 * `eval "$(sh test/setup/software-vulkan.sh)"` before.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { DeviceReport } from "../../server/protocol/reader.ts";
import { describePart } from "../parts.ts";
import { runChild } from "./child-process.ts";

interface Report {
  readonly reports: readonly DeviceReport[];
  readonly errors: Record<string, number>;
  readonly auto: readonly DeviceReport[];
}

let missing: string | undefined;
const report = await runChild<Report>(join(import.meta.dirname, "webgpu-program.ts")).catch(
  (error: Error) => {
    const noAdapter = /no usable device \(webgpu: .*?(adapter|Vulkan loader)[^;]*/.exec(
      error.message,
    );
    if (noAdapter === null) throw error;
    missing = `webgpu: ${noAdapter[0]}`;
    return undefined;
  },
);

/** Of training: largest relative difference of losses by architecture, and bytes of what did not run on the device. */
interface TrainingReport {
  readonly errors: Record<string, number>;
  readonly elsewhere: Record<string, number>;
}

describePart(missing, "training that stays on webgpu", () => {
  test("losses are the CPU's, and nothing of a step runs elsewhere", async () => {
    const program = join(import.meta.dirname, "webgpu-training-program.ts");
    const { errors, elsewhere } = await runChild<TrainingReport>(program, [tmpdir()]);
    console.log(errors);
    expect(Object.keys(errors).length).toBe(6);
    for (const [name, error] of Object.entries(errors)) expect(error, name).toBeLessThan(1e-5);
    // The number of rows, by which means are divided, becomes a float32 on the CPU and goes to the device.
    for (const [op, bytes] of Object.entries(elsewhere)) expect(bytes, op).toBeLessThanOrEqual(8);
    expect(Object.keys(elsewhere)).toContain("Cast");
  });
});

describePart(missing, "webgpu", () => {
  test("the device passes its check", () => {
    expect(report!.reports).toMatchObject([{ device: "webgpu", chosen: true }]);
    expect(report!.reports[0]!.checkError).toBeLessThan(1e-4);
  });
  test("every kind of graph gives the CPU's numbers", () => {
    const { errors } = report!;
    console.log(errors);
    expect(Object.keys(errors).length).toBe(6);
    for (const [name, error] of Object.entries(errors)) {
      expect(error, name).toBeLessThan(1e-4);
    }
  });
  test("auto says why it does not take a slow adapter", () => {
    const webgpu = report!.auto.find(({ device }) => device === "webgpu")!;
    if (!webgpu.chosen)
      expect(webgpu.refusal).toMatch(/slower than the CPU .*: \d+ ms against \d+ ms/);
    expect(report!.auto.filter(({ chosen }) => chosen).length).toBe(1);
  });
});
