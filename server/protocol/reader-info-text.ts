/** What a reader says about itself, as text for people. */
import type { ReaderInfo } from "./reader.ts";

/** Devices with the reason of each refusal, versions, memory: the doctor's report. */
export function readerInfoText(info: ReaderInfo): string {
  const lines = [
    `ONNX Runtime ${info.runtimeVersion}, Node ${process.versions.node}, ${process.platform}-${process.arch}, ${info.threads} threads`,
    "",
    "Devices, in the order they are tried:",
    ...info.devices.map((report) => {
      const check =
        report.checkError === undefined
          ? ""
          : `, differs from the CPU by ${report.checkError.toExponential(1)} of a row's RMS`;
      const verdict = report.refusal
        ? `not used: ${report.refusal}`
        : report.chosen
          ? "in use"
          : "usable";
      return `  ${report.device.padEnd(7)} ${verdict}${check}`;
    }),
    "",
    `Memory: ${bytes(info.memory.residentBytes)} resident, budget ${bytes(info.memory.budget)}, planned:`,
    ...info.memory.planned.map(({ what, bytes: size }) => `  ${bytes(size).padStart(10)}  ${what}`),
    ...(info.memory.planned.length === 0 ? ["  nothing is loaded"] : []),
  ];
  return lines.join("\n");
}

/** A number of bytes for people, in binary units. */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = count <= 0 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  return `${(count / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
