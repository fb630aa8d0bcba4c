// What every script of a fresh clone needs first: Node 20, the packages of package-lock.json, and a build.
// Node alone runs this file, so it may import nothing but Node's own modules.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const repoRoot = join(dirname(fileURLToPath(import.meta.url)), "..");

/** Installs packages when they are missing or not those of the lock file, then builds. Ends the process on failure. */
export function bootstrap({ build = true } = {}) {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < 20)
    end(`Node ${process.versions.node} is too old: Latent Workbench needs Node 20 or newer`);
  const stale = whyStale();
  if (stale) {
    process.stderr.write(`Installing packages (${stale}) …\n`);
    run("npm", ["ci", "--no-audit", "--no-fund"], "npm ci");
  }
  if (build) run(process.execPath, ["esbuild.mjs"], "the build");
}

/** Why `npm ci` is needed; undefined when every installed package is the one that package-lock.json names. */
function whyStale() {
  const installed = join(repoRoot, "node_modules/.package-lock.json");
  if (!existsSync(installed)) return "none are installed";
  const wanted = packagesOf(join(repoRoot, "package-lock.json"));
  const found = packagesOf(installed);
  const different = Object.entries(wanted).filter(
    ([path, { version, optional }]) =>
      // Packages of other platforms are optional and absent.
      path !== "" && found[path]?.version !== version && !(optional && !found[path]),
  );
  if (different.length === 0) return undefined;
  return `${different.length} of ${Object.keys(wanted).length} differ from package-lock.json`;
}

function packagesOf(lockFile) {
  return JSON.parse(readFileSync(lockFile, "utf8")).packages ?? {};
}

function run(command, args, what) {
  const { status, error } = spawnSync(command, args, {
    cwd: repoRoot,
    // Stdout belongs to what the caller prints.
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32" && command === "npm",
  });
  if (status !== 0) end(`${what} ended with ${error?.message ?? `exit code ${status}`}`);
}

function end(text) {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}
