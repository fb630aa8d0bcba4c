// Puts the browser form of VS Code (the server that the npm package code-server carries) into .cache/, so that the
// extension can be tried and tested in a real workbench without Electron, a display, root rights or a compiler.
// `node test/e2e/setup-workbench.mjs`; a second run finds the stamp and does nothing.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { cacheRoot, vscodeRoot } from "./places.mjs";

/** VS Code 1.99.3, the newest that the Node 20 of this project can run; see engines.vscode in package.json. */
const hostVersion = "4.99.4";
const ripgrepVersion = "1.18.0";
const stamp = join(cacheRoot, `.ready-${hostVersion}-${ripgrepVersion}`);

if (existsSync(stamp)) {
  console.log(`workbench: ready in ${cacheRoot}`);
} else {
  setUp();
}

function setUp() {
  rmSync(cacheRoot, { recursive: true, force: true });
  mkdirSync(cacheRoot, { recursive: true });
  console.log(`workbench: fetching VS Code's server (code-server ${hostVersion}) from npm`);
  unpack(`code-server@${hostVersion}`, join(cacheRoot, "host"));
  // The wrapper's own dependencies and its post-install are not needed: only VS Code's server inside it is run.
  console.log("workbench: installing its dependencies");
  const flags = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
  npm(["install", ...flags], vscodeRoot);
  symlinkSync("node_modules", join(vscodeRoot, "node_modules.asar"));
  installRipgrep();
  writeFileSync(stamp, "");
  console.log(`workbench: ready in ${cacheRoot}`);
}

/** The search binary behind `workspace.findFiles`; its usual post-install downloads from GitHub. */
function installRipgrep() {
  const target = `${process.platform}-${process.arch}`;
  const unpacked = join(cacheRoot, "ripgrep");
  unpack(`@vscode/ripgrep-${target}@${ripgrepVersion}`, unpacked);
  const bin = join(vscodeRoot, "node_modules/@vscode/ripgrep/bin");
  mkdirSync(bin, { recursive: true });
  copyFileSync(join(unpacked, "bin/rg"), join(bin, "rg"));
  chmodSync(join(bin, "rg"), 0o755);
  rmSync(unpacked, { recursive: true });
}

function unpack(spec, folder) {
  mkdirSync(folder, { recursive: true });
  npm(["pack", "--silent", spec], folder);
  const archive = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  execFileSync("tar", ["xzf", archive, "--strip-components=1"], { cwd: folder });
  rmSync(join(folder, archive));
}

function npm(args, cwd) {
  execFileSync("npm", args, { cwd, stdio: ["ignore", "ignore", "inherit"] });
}
