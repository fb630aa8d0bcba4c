// Where the browser tests find and put things, and what they say when a part is missing.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The root of the repository. */
export const repoRoot = join(dirname(fileURLToPath(import.meta.url)), "../..");
/** VS Code's server, put there by setup-workbench.mjs. */
export const cacheRoot = join(repoRoot, ".cache/vscode-server");
export const vscodeRoot = process.env.VSCODE_SERVER_ROOT ?? join(cacheRoot, "host/lib/vscode");
/** Screenshots and logs of a run; ignored by git. */
export const outFolder = join(repoRoot, "out/e2e");

const browsers = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/** Path of a Chromium to drive, or undefined. */
export const chromiumPath = process.env.CHROMIUM ?? browsers.find((path) => existsSync(path));

/** What a browser run lacks on this machine; empty when it can run. */
export function missingParts({ workbench = true } = {}) {
  const missing = [];
  if (workbench && !existsSync(join(vscodeRoot, "out/server-main.js"))) {
    missing.push("VS Code's server (node test/e2e/setup-workbench.mjs fetches it)");
  }
  if (chromiumPath === undefined || !existsSync(chromiumPath)) {
    missing.push("chromium (install it, or name it in CHROMIUM)");
  }
  return missing;
}

/** Ends the process when parts are missing: 0, or 1 where REQUIRE_ALL=1 says that everything must run. */
export function requireParts(name, missing) {
  if (missing.length === 0) return;
  console.log(`${name}: not run: ${missing.join("; ")} missing`);
  console.log(`${name}: 0 passed, 0 failed`);
  process.exit(process.env.REQUIRE_ALL === "1" ? 1 : 0);
}
