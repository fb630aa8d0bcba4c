/** Where the bundled demo lies, seen from the built programs in dist/. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readJson } from "./files/disk.ts";
import type { Choice } from "./workbench/models.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The demo's model with its SAEs; those marked optional are used only when asked for by name. */
export const bundled: Choice = {
  lm: join(root, "demo/lm"),
  saes: [
    { path: join(root, "demo/saes/resid2-6144"), name: "resid2-6144" },
    { path: join(root, "demo/saes/meta-512"), name: "meta-512" },
    { path: join(root, "demo/saes/resid2-1024"), name: "resid2-1024", optional: true },
    { path: join(root, "demo/saes/resid2-6144-k2"), name: "resid2-6144-k2", optional: true },
  ],
};

/** About a thousand tokens of running text for self-checks. */
export const sampleText: string = join(root, "demo/self-check.txt");

/** The version of this build. */
export const version: string = (readJson(join(root, "package.json")) as { version: string })
  .version;
