/** The Python side of the hover benchmark: bench/python/hover_peer.py in its two kinds. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { JsonLines } from "./json-lines.ts";
import { repoRoot } from "./places.ts";

/** The two peers, as reports name them. */
export const peerKinds = ["transformers", "transformer-lens"] as const;
/** One of them. */
export type PeerKind = (typeof peerKinds)[number];

/** What a peer says after loading. */
export interface PeerStart {
  readonly importMs: number;
  readonly loadMs: number;
  readonly peakMB: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** What a peer says about a text. */
export interface PeerReading {
  readonly ms: number;
  readonly tokens: number;
  readonly last: readonly number[];
  readonly peakMB: number;
}

/** A loaded peer. */
export interface Peer {
  readonly kind: PeerKind;
  readonly name: string;
  readonly start: PeerStart;
  /** From the start of the process to the answer about the first text. */
  readonly firstHoverMs: number;
  readonly process: JsonLines<{ text: string }, PeerReading>;
}

/** Writes the Hugging Face directory that the peers load, once; returns its folder. */
export function convertModel(python: string, modelFolder: string): string {
  const target = join(repoRoot, ".cache/bench/smollm2-f16");
  if (!existsSync(join(target, "model.safetensors")))
    execFileSync(python, [join(repoRoot, "bench/python/convert_smollm2.py"), modelFolder, target], {
      stdio: ["ignore", 2, 2],
    });
  return target;
}

/** Starts a peer and asks for one text. */
export async function startPeer(
  kind: PeerKind,
  places: { python: string; lm: string; sae: string; threads: number; device: string },
  text: string,
): Promise<Peer> {
  const began = performance.now();
  const process = new JsonLines<{ text: string }, PeerReading>(places.python, [
    join(repoRoot, "bench/python/hover_peer.py"),
    kind,
    places.lm,
    places.sae,
    String(places.threads),
    places.device,
  ]);
  const start = (await process.next()) as unknown as PeerStart;
  await process.ask({ text });
  const firstHoverMs = performance.now() - began;
  return { kind, name: `${kind} + SAELens`, start, firstHoverMs, process };
}
