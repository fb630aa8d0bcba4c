/**
 * Toy runs as processes: `latent-workbench toy`, a child for each, because training needs ONNX Runtime and must keep
 * neither the server nor the reader waiting. Cancelling ends the child.
 */
import { spawn } from "node:child_process";
import { UserError } from "../base/errors.ts";
import { errorOf } from "../protocol/rpc.ts";
import { readerEnvironment } from "../protocol/reader-environment.ts";
import type { ToyKnobs, ToyProgress, ToyResult } from "../protocol/toy.ts";

/** The end of what a child says about its failure that is kept. */
const keptErrorText = 10_000;

/** Runs `program toy` with the knobs as its options. */
export function runToyProcess(
  program: string,
  knobs: ToyKnobs,
  { signal, onProgress }: { signal: AbortSignal; onProgress: (progress: ToyProgress) => void },
): Promise<ToyResult> {
  signal.throwIfAborted();
  const child = spawn(
    process.execPath,
    [program, "toy", "--json", "--progress", ...optionsOf(knobs)],
    {
      stdio: ["ignore", "pipe", "pipe"],
      windowsHide: true,
      env: { ...process.env, ...readerEnvironment, ELECTRON_RUN_AS_NODE: "1" },
    },
  );
  const end = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", end, { once: true });
  return new Promise<ToyResult>((resolve, reject) => {
    let [rest, problems] = ["", ""];
    let result: ToyResult | undefined;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = `${rest}${text}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const said = JSON.parse(line) as ToyResult | { readonly progress: ToyProgress };
        if ("progress" in said) onProgress(said.progress);
        else result = said;
      }
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      problems = `${problems}${text}`.slice(-keptErrorText);
    });
    child.on("error", (error) => reject(notStarted(program, error)));
    child.on("close", (code, killedBy) => {
      if (signal.aborted) reject(signal.reason as Error);
      else if (code === 0 && result) resolve(result);
      else reject(failureOf(problems, killedBy ?? `exit code ${code}`));
    });
  }).finally(() => signal.removeEventListener("abort", end));
}

/** `{ coOccurrence: 0.5, tied: true }` as `--co-occurrence 0.5 --tied`. */
function optionsOf(knobs: ToyKnobs): string[] {
  return Object.entries(knobs).flatMap(([name, value]) => {
    if (value === undefined || value === false) return [];
    const option = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? [option] : [option, String(value)];
  });
}

/** The child's own words where it found some. */
function failureOf(problems: string, how: string): Error {
  const line = problems.trim().split("\n").at(-1) ?? "";
  try {
    const { error } = JSON.parse(line) as { error: { code: string; text: string } };
    return errorOf({ ...error, kind: error.code === "bug" ? "bug" : "user" });
  } catch {
    return new UserError(
      "toy-run-died",
      `the toy run ended by itself (${how}): ${line || "it said nothing"}`,
    );
  }
}

function notStarted(program: string, cause: Error): UserError {
  return new UserError(
    "toy-run-not-started",
    `${process.execPath} ${program} could not be started; reinstall the extension`,
    { cause },
  );
}
