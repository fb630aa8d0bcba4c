import { lstatSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { downloadFromHub } from "../../server/files/hub.ts";
import { startHub } from "./hub-server.ts";
import { scratchFolder } from "./scratch.ts";

// Windows without developer mode.
vi.mock("node:fs", async (original) => ({
  ...(await original<typeof import("node:fs")>()),
  symlinkSync: () => {
    throw Object.assign(new Error("EPERM: operation not permitted, symlink"), { code: "EPERM" });
  },
}));

const scratch = scratchFolder();

test("where links are not allowed, snapshots hold the files themselves, once", async () => {
  const weights = new Uint8Array(5000).fill(3);
  const hub = await startHub({ "model.safetensors": weights, "twin.safetensors": weights });
  vi.stubEnv("HF_ENDPOINT", hub.endpoint);
  vi.stubEnv("HF_HUB_CACHE", scratch);
  vi.stubEnv("HF_HUB_OFFLINE", "");
  const repo = "org/model";
  const snapshot = await downloadFromHub({ repo, files: ["model.safetensors"] });
  expect(lstatSync(join(snapshot, "model.safetensors")).isSymbolicLink()).toBe(false);
  expect(new Uint8Array(readFileSync(join(snapshot, "model.safetensors")))).toEqual(weights);
  expect(readdirSync(join(scratch, "models--org--model/blobs"))).toEqual([]);
  hub.log.length = 0;
  await downloadFromHub({ repo, files: ["model.safetensors"] });
  expect(hub.log).toHaveLength(1);
  await downloadFromHub({ repo });
  expect(new Uint8Array(readFileSync(join(snapshot, "twin.safetensors")))).toEqual(weights);
  await hub.close();
  vi.unstubAllEnvs();
});
