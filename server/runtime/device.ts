/**
 * The runtime room: the only one that knows ONNX Runtime. It opens a device, loads graphs into sessions, runs them,
 * and keeps the plan of memory. It knows nothing of language models or SAEs. Start reading at `openDevice`: providers
 * are tried one by one, because ONNX Runtime throws for a list with one that is missing instead of falling back,
 * and every refusal keeps its reason.
 */
import { availableParallelism } from "node:os";
import { hasSharedLibrary } from "../files/shared-library.ts";
import type { Graph } from "../graph/graph.ts";
import type { DeviceName, DeviceReport, ReaderSettings } from "../protocol/reader.ts";
import type { Tensor } from "../tensor/tensor.ts";
import {
  buildCheckGraph,
  buildSpeedGraph,
  checkFeeds,
  checkOutputs,
  judgeCheck,
  speedFeeds,
} from "./check-graph.ts";
import { deviceRefused } from "./errors.ts";
import { Device } from "./onnx-device.ts";

export { DeviceState, nextName } from "./device-state.ts";
export { Device, runtimeVersion } from "./onnx-device.ts";
export type { Session } from "./session.ts";

/** What opening a device needs of the settings. */
export type DeviceSettings = Pick<ReaderSettings, "device" | "threads" | "memoryBudget">;

/**
 * Opens the device that the settings name, or for "auto" the first usable one of this platform. Throws a user error
 * with all reasons if there is none.
 */
export async function openDevice(
  settings: DeviceSettings,
): Promise<{ device: Device; reports: DeviceReport[] }> {
  const isAuto = settings.device === "auto";
  const names = settings.device === "auto" ? candidates() : [settings.device];
  const reports: DeviceReport[] = [];
  for (const name of names) {
    const { device, ...answer } = await tryDevice(name, settings, isAuto);
    reports.push({ device: name, chosen: device !== undefined, ...answer });
    if (device) return { device, reports };
  }
  throw deviceRefused(reports);
}

/** Checks every device of this platform, however slow, and chooses none: what a diagnosis shows. */
export async function probeDevices(settings: DeviceSettings): Promise<DeviceReport[]> {
  const reports: DeviceReport[] = [];
  for (const name of candidates()) {
    const { device, ...answer } = await tryDevice(name, settings, false);
    reports.push({ device: name, chosen: false, ...answer });
    await device?.close();
  }
  return reports;
}

const vulkanLoader = "libvulkan.so.1";

/** Devices that "auto" considers, best first. */
function candidates(): DeviceName[] {
  if (process.platform === "win32") return ["cuda", "webgpu", "dml", "cpu"];
  if (process.platform === "darwin") return ["webgpu", "coreml", "cpu"];
  return ["cuda", "webgpu", "cpu"];
}

interface Answer {
  readonly device?: Device;
  readonly refusal?: string;
  readonly checkError?: number;
}

/** `mustBeFaster`: refuse what is slower than the CPU, as a software adapter is. */
async function tryDevice(
  name: DeviceName,
  settings: DeviceSettings,
  mustBeFaster: boolean,
): Promise<Answer> {
  const threads = settings.threads > 0 ? settings.threads : availableParallelism();
  // Asked first because the WebGPU provider complains on stderr in its own words.
  if (name === "webgpu" && !hasSharedLibrary(vulkanLoader))
    return { refusal: `there is no Vulkan loader (${vulkanLoader}); install it with a driver` };
  const device = new Device(name, threads, settings.memoryBudget);
  if (name === "cpu") return { device };
  if (name === "cuda" && process.env["NVIDIA_TF32_OVERRIDE"] !== "0") {
    return {
      refusal: "NVIDIA_TF32_OVERRIDE is not 0, so float32 products would be rounded to 10 bits",
    };
  }
  const cpu = new Device("cpu", threads, settings.memoryBudget);
  const answer = await judge(device, cpu, mustBeFaster && name !== "cuda");
  await cpu.close();
  if (answer.refusal === undefined) return { device, ...answer };
  await device.close();
  return answer;
}

async function judge(device: Device, cpu: Device, mustBeFaster: boolean): Promise<Answer> {
  const check = buildCheckGraph();
  const expected = await runCheck(cpu, check);
  const reference = mustBeFaster ? await time(cpu) : Infinity;
  let found: Record<string, Tensor>;
  try {
    // Time first: compiling all shaders of the check takes a software adapter seconds.
    const own = mustBeFaster ? await time(device) : 0;
    if (own > reference) {
      const times = `${own.toFixed(0)} ms against ${reference.toFixed(0)} ms`;
      return {
        refusal: `slower than the CPU (a software adapter?): ${times} for the same products`,
      };
    }
    found = await runCheck(device, check);
  } catch (error) {
    return { refusal: reasonOf(error) };
  }
  return judgeCheck(found, expected);
}

async function runCheck(device: Device, graph: Graph): Promise<Record<string, Tensor>> {
  const session = await device.load(graph, { label: `check of ${device.name}` });
  try {
    return await session.run(checkFeeds(), checkOutputs);
  } finally {
    await session.release();
  }
}

/** Milliseconds of the speed graph, in its second run: the first one compiles. */
async function time(device: Device): Promise<number> {
  const session = await device.load(buildSpeedGraph(), { label: `timing of ${device.name}` });
  try {
    await session.run(speedFeeds(), ["y"]);
    const start = performance.now();
    await session.run(speedFeeds(), ["y"]);
    return performance.now() - start;
  } finally {
    await session.release();
  }
}

/** ONNX Runtime's reason on one line: the first, without the source place of an assertion. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const last = text
    .trim()
    .split("\n")[0]!
    .replace(/^check of \w+: /, "");
  // What is missing, the provider or what it needs in turn, is not said.
  if (/_Cuda: Failed to load shared library/.test(last))
    return "ONNX Runtime's CUDA provider cannot be loaded: it needs its own libraries, CUDA 12 and cuDNN 9 (README, CUDA)";
  return last.replace(/^.*\bwas false\. /, "").replace(/\s*\.?\s*$/, "");
}
