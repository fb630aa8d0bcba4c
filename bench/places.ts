/** Where benchmarks find real models, Python, and their own converted files. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The root of the repository; benchmarks run from dist/bench. */
export const repoRoot: string = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** A file of the shared material beside the repository. */
export function shared(...path: string[]): string {
  return join(process.env["LATENT_WORKBENCH_SHARED"] ?? join(repoRoot, "../shared"), ...path);
}

/** The Python that has the packages of test/python/requirements.txt; undefined without one. */
export function findPython(): string | undefined {
  const named = process.env["LATENT_WORKBENCH_PYTHON"];
  if (named !== undefined) return named;
  return [".cache/venv/bin/python", ".cache/venv/Scripts/python.exe"]
    .map((path) => join(repoRoot, path))
    .find(existsSync);
}

/** Torch's name of the GPU that it finds; undefined if it finds none. */
export function torchGpu(python: string): string | undefined {
  return ["cuda", "mps"].find((device) =>
    pythonCan(python, `import torch; torch.zeros(1, device="${device}").sum().item()`),
  );
}

/** Whether a line of Python ends well. */
export function pythonCan(python: string, line: string): boolean {
  return spawnSync(python, ["-c", line], { stdio: "ignore" }).status === 0;
}
