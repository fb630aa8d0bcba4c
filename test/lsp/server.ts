/** The built language server under test. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { HeadlessClient, type HeadlessOptions } from "../../scripts/headless-client.ts";
import { repoRoot } from "../parts.ts";

/** Starts dist/main.js on the demo folder; `npm run build` must have run. */
export function startServer(options: Partial<HeadlessOptions> = {}): Promise<HeadlessClient> {
  const server = join(repoRoot, "dist/main.js");
  if (!existsSync(server)) throw new Error("dist/main.js is missing: run npm run build first");
  return HeadlessClient.start({
    server,
    workspaceFolder: join(repoRoot, "demo"),
    ...options,
  });
}

/** A file name in the demo's prompts folder, which the default patterns cover; nothing is written there. */
export function promptPath(name: string): string {
  return join(repoRoot, "demo/prompts", name);
}

/** The text of a hover, or undefined. */
export function textOf(hover: { contents: unknown } | null): string | undefined {
  return (hover?.contents as { value?: string } | undefined)?.value;
}
