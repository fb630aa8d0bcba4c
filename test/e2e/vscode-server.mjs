// Starts VS Code's server with the extension installed from a .vsix, on a copy of a workspace, and ends it again.
import { execFileSync, spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { repoRoot, vscodeRoot } from "./places.mjs";

/** A quiet workbench: no start page, no suggestions, nothing that asks the network. */
const quietSettings = {
  "workbench.startupEditor": "none",
  "workbench.enableExperiments": false,
  "workbench.tips.enabled": false,
  "workbench.colorTheme": "Default Dark Modern",
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "extensions.autoUpdate": false,
  "extensions.autoCheckUpdates": false,
  "extensions.ignoreRecommendations": true,
  "git.enabled": false,
  "editor.minimap.enabled": false,
  "editor.wordWrap": "on",
  "editor.hover.delay": 100,
  "chat.commandCenter.enabled": false,
};

/**
 * Starts a server on a free loopback port. `workspace` is copied, so that a test may write into it, unless `inPlace`;
 * `keep`: a folder for what the server stores, left alone at the end; `token`: a connection token that the browser
 * must show; `testDriver`: lets tests run inside the extension host; `asksForTrust`: the workspace is not trusted
 * before the user says so.
 */
export async function startServer(options) {
  const { vsix, workspace, inPlace = false, keep, settings = {}, env = {}, port = 0 } = options;
  const root = keep ?? mkdtempSync(join(repoRoot, ".cache/e2e-"));
  const data = join(root, "data");
  const folder = inPlace ? workspace : join(root, "workspace");
  if (!inPlace) cpSync(workspace, folder, { recursive: true });
  for (const kind of ["User", "Machine"]) {
    const file = join(data, "data", kind, "settings.json");
    mkdirSync(dirname(file), { recursive: true });
    if (!existsSync(file)) writeFileSync(file, JSON.stringify({ ...quietSettings, ...settings }));
  }
  const base = ["out/server-main.js", "--server-data-dir", data];
  base.push("--extensions-dir", join(root, "extensions"), "--accept-server-license-terms");
  if (vsix) {
    const install = [...base, "--install-extension", vsix, "--force"];
    execFileSync(process.execPath, install, { cwd: vscodeRoot, stdio: ["ignore", "pipe", "pipe"] });
  }
  const networkLog = join(root, "network.jsonl");
  const args = [...base, "--host", "127.0.0.1", "--port", String(port), "--telemetry-level", "off"];
  const { token } = options;
  args.push(...(token ? ["--connection-token", token] : ["--without-connection-token"]));
  if (!options.asksForTrust) args.push("--disable-workspace-trust");
  if (options.testDriver) args.push("--enable-smoke-test-driver");
  const child = spawn(process.execPath, args, {
    cwd: vscodeRoot,
    // Its own process group: the extension host, the language server and the reader end with it.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      EXTENSIONS_GALLERY: "{}",
      ...(keep ? {} : spied(networkLog)),
      ...env,
    },
  });
  const output = { text: "" };
  const listening = await waitForPort(child, output);
  const query = new URLSearchParams({ folder, ...(token ? { tkn: token } : {}) });
  return {
    port: listening,
    folder,
    pid: child.pid,
    log: () => output.text,
    /** What left the machine by any Node process of the workbench, and which processes were watched. */
    network: () => readNetworkLog(networkLog),
    url: (payload = []) => {
      const more =
        payload.length > 0 ? `&payload=${encodeURIComponent(JSON.stringify(payload))}` : "";
      return `http://127.0.0.1:${listening}/?${query}${more}`;
    },
    remote: (path) => `vscode-remote://127.0.0.1:${listening}${path}`,
    stop: () => stop(child, keep ? undefined : root),
  };
}

/** Has every Node process of the workbench note what leaves the machine. */
function spied(networkLog) {
  const spy = join(repoRoot, "test/e2e/network-spy.cjs");
  return { NODE_OPTIONS: `--require ${JSON.stringify(spy)}`, E2E_NETWORK_LOG: networkLog };
}

function waitForPort(child, output) {
  return new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`VS Code's server ${why}\n${output.text}`));
    const timer = setTimeout(() => fail("did not start within three minutes"), 180_000);
    const read = (chunk) => {
      output.text += chunk;
      const port = /agent listening on (\d+)/.exec(output.text)?.[1];
      if (!port) return;
      clearTimeout(timer);
      resolve(Number(port));
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("exit", (code) => fail(`ended with ${code}`));
  });
}

async function stop(child, root) {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 3000);
  if (child.exitCode === null && child.signalCode === null) await gone;
  clearTimeout(timer);
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // Nobody of the group is left.
  }
  if (root) rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

function readNetworkLog(path) {
  const lines = existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
  const events = lines.filter(Boolean).map((line) => JSON.parse(line));
  return {
    processes: events.filter((it) => it.what === "start").map((it) => it.detail),
    left: events.filter((it) => it.what !== "start").map((it) => `${it.what} ${it.detail}`),
  };
}
