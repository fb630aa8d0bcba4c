/**
 * Runs a TypeScript program of the tests in a process of its own, where its memory and CPU time are its alone.
 */
import { execFile } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { readerEnvironment } from "../../server/protocol/reader-environment.ts";
import { repoRoot } from "../parts.ts";

/** Bundles `program` and runs it with Node; returns what it printed as JSON. */
export async function runChild<T>(program: string, args: readonly string[] = []): Promise<T> {
  const folder = join(repoRoot, ".cache/test-programs");
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `${basename(program, ".ts")}-${process.pid}.mjs`);
  await build({
    entryPoints: [program],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    external: ["onnxruntime-node"],
    logLevel: "silent",
  });
  const env = { ...process.env, ...readerEnvironment };
  const node = promisify(execFile);
  try {
    const { stdout } = await node(process.execPath, ["--expose-gc", outfile, ...args], { env });
    return JSON.parse(stdout) as T;
  } finally {
    rmSync(outfile);
  }
}
