// The .vsix that the browser runs install: made anew from dist/, so that packaging is tested with every run.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { outFolder, repoRoot } from "./places.mjs";

/** Builds if nothing was built, packs, and returns the path; E2E_VSIX names a ready one instead. */
export function packExtension() {
  if (process.env.E2E_VSIX) return process.env.E2E_VSIX;
  if (!existsSync(join(repoRoot, "dist/main.js"))) run("esbuild.mjs");
  const path = join(outFolder, "latent-workbench.vsix");
  run("scripts/package-extension.mjs", "--target", "here", "--output", path);
  return path;
}

function run(...args) {
  execFileSync(process.execPath, args, { cwd: repoRoot, stdio: ["ignore", "ignore", "inherit"] });
}
