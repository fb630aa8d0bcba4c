/** An engine on the CPU for tests, and the demo's places. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Engine } from "../../server/engine/engine.ts";
import type { ContextSource } from "../../server/protocol/context.ts";
import { repoRoot } from "../parts.ts";

export const demoLm: string = join(repoRoot, "demo/lm");

/** A bundled SAE by its name. */
export function demoSae(name: string): string {
  return join(repoRoot, "demo/saes", name);
}

/** Opens an engine on the CPU with an empty cache folder. */
export function openEngine(memoryBudget = 8e9): Promise<Engine> {
  return Engine.open({
    device: "cpu",
    threads: 2,
    memoryBudget,
    cacheFolder: mkdtempSync(join(tmpdir(), "latent-workbench-")),
    sampleText: join(repoRoot, "demo/self-check.txt"),
  });
}

/** A context of plain text. */
export function plainContext(text: string): ContextSource {
  return { kind: "plain", parts: [{ text, fileStart: 0 }] };
}
