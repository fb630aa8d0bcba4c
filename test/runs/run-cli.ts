/** The command line as a process of its own, that can be killed at any moment. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { build } from "esbuild";
import { repoRoot } from "../parts.ts";

/** A folder for the runs of one test file. */
export const scratch: string = mkdtempSync(join(tmpdir(), "latent-workbench-runs-"));

/** What a process printed and how it ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** A running command line. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

let bundle: Promise<string> | undefined;

/** Starts `latent-workbench` with these arguments; `onOut` sees what it prints as it comes. */
export async function startCli(
  args: readonly string[],
  onOut: (text: string, child: ChildProcess) => void = () => {},
): Promise<Running> {
  bundle ??= bundleProgram("server/cli.ts");
  // Beside other work a run of low priority takes as long as it takes; tests have no such time.
  const priority = ["train", "harvest"].includes(args[0] ?? "") ? ["--priority", "normal"] : [];
  const child = spawn(process.execPath, [await bundle, ...args, ...priority], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (data: Buffer) => {
    out += data;
    onOut(out, child);
  });
  child.stderr.on("data", (data: Buffer) => (err += data));
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal, out, err }));
  });
  return { child, ended };
}

/** Runs `latent-workbench` to its end. */
export async function runCli(...args: readonly string[]): Promise<Ended> {
  return (await startCli(args)).ended;
}

/** Lines of a log as values. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** A JSON file. */
export function json(...path: readonly string[]): Record<string, unknown> {
  return JSON.parse(readFileSync(join(...path), "utf8")) as Record<string, unknown>;
}

/** A program as one file in `.cache`, from where it finds the demo as the built one does from `dist`. */
export async function bundleProgram(entry: string): Promise<string> {
  const folder = join(repoRoot, ".cache");
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `${basename(entry, ".ts")}-of-tests-${process.pid}.mjs`);
  await build({
    entryPoints: [join(repoRoot, entry)],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    mainFields: ["module", "main"],
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
    external: ["onnxruntime-node"],
    logLevel: "silent",
  });
  process.once("exit", () => rmSync(outfile, { force: true }));
  return outfile;
}
