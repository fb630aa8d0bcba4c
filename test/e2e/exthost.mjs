// The tests that run inside VS Code's extension host. By default that is the host of the browser's workbench;
// VSCODE_TEST_HOST=electron runs the same suite in desktop VS Code, which @vscode/test-electron downloads unless
// VSCODE_EXECUTABLE_PATH names one. `node test/e2e/exthost.mjs`
import { build } from "esbuild";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startBrowser } from "./browser.mjs";
import { packExtension } from "./extension-package.mjs";
import { missingParts, outFolder, repoRoot, requireParts } from "./places.mjs";
import { startServer } from "./vscode-server.mjs";

const inElectron = process.env.VSCODE_TEST_HOST === "electron";
if (!inElectron) requireParts("extension host", missingParts());
mkdirSync(outFolder, { recursive: true });
// VS Code imports the tests as an extension under development; this one is nothing else.
const testsFolder = join(repoRoot, ".cache/exthost-tests");
await build({
  entryPoints: { index: join(repoRoot, "test/e2e/exthost/suite-program.ts") },
  outdir: testsFolder,
  outExtension: { ".js": ".cjs" },
  bundle: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  external: ["vscode"],
});
const log = join(outFolder, "extension-host.log");
rmSync(log, { force: true });

const code = inElectron ? await runInElectron() : await runInBrowser();
const lines = existsSync(log) ? readFileSync(log, "utf8") : "";
process.stdout.write(lines);
if (!/\d+ passed, \d+ failed/.test(lines)) console.log("extension host: 0 passed, 1 failed");
process.exitCode = code === 0 ? 0 : 1;

async function runInBrowser() {
  const server = await startServer({
    vsix: packExtension(),
    workspace: join(repoRoot, "demo"),
    env: { E2E_SUITE_LOG: log },
    testDriver: true,
  });
  const { page, close } = await startBrowser();
  const output = [];
  try {
    await page.exposeFunction("codeAutomationLog", (_type, args) => output.push(args.join(" ")));
    const ended = new Promise((resolve) => {
      void page.exposeFunction("codeAutomationExit", resolve);
    });
    const manifest = server.remote(join(repoRoot, "test/e2e/exthost/development"));
    const payload = [
      ["extensionDevelopmentPath", manifest],
      ["extensionTestsPath", server.remote(join(testsFolder, "index.cjs"))],
    ];
    await page.goto(server.url(payload));
    const limit = new Promise((resolve) => {
      setTimeout(() => resolve("timeout"), 1_200_000).unref();
    });
    const result = await Promise.race([ended, limit]);
    if (result !== 0) console.log([...output.slice(-20), server.log().slice(-2000)].join("\n"));
    return result;
  } finally {
    await close();
    await server.stop();
  }
}

async function runInElectron() {
  const { runTests } = await import("@vscode/test-electron");
  const workspace = mkdtempSync(join(repoRoot, ".cache/e2e-"));
  cpSync(join(repoRoot, "demo"), workspace, { recursive: true });
  const executable = process.env.VSCODE_EXECUTABLE_PATH;
  try {
    return await runTests({
      extensionDevelopmentPath: repoRoot,
      extensionTestsPath: join(testsFolder, "index.cjs"),
      extensionTestsEnv: { E2E_SUITE_LOG: log },
      launchArgs: [workspace, "--disable-extensions", "--disable-workspace-trust"],
      ...(executable ? { vscodeExecutablePath: executable } : {}),
    });
  } catch (error) {
    console.log(`extension host: not run: desktop VS Code: ${String(error)}`);
    return process.env.REQUIRE_ALL === "1" ? 1 : 0;
  } finally {
    rmSync(workspace, { recursive: true, force: true });
  }
}
