// npm test: formatting, lint, types, dead code, then the tests. Bootstraps itself on a fresh clone.
// `npm test -- NAME…` runs only the parts of these names. Every part has a time limit, which is there
// for what hangs, so many times what it takes on a quiet machine. A part that needs what is
// not there says "not run: <what is missing>", which is neither passed nor failed; with REQUIRE_ALL=1 it fails, but for a
// GPU, which nobody can install.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { bootstrap, repoRoot } from "./bootstrap.mjs";

const requireAll = process.env.REQUIRE_ALL === "1";
const bin = (name) => join(repoRoot, "node_modules/.bin", name);
const sources = ["client", "server", "webviews", "test", "bench", "scripts"];
const lintTargets = [...sources, "esbuild.mjs", "vitest.config.ts"];
const report = join(repoRoot, ".cache/vitest.json");
/** Needs a GPU or a software driver that would slow down all others: a run of its own. */
const webgpuTest = "test/runtime/webgpu.test.ts";

/** Time a server that has the machine to itself, as a user's has. */
const serverTests = "test/lsp";

/** `reads` makes results of the part's output; without it the part is one check that passes by exit code 0. */
const parts = [
  part("format", 600, bin("prettier"), ["--check", "--log-level", "warn", "."]),
  part("lint", 900, bin("oxlint"), ["--type-aware", "--deny-warnings", ...lintTargets]),
  part("types", 600, bin("tsc"), ["-p", "."]),
  part("types of the pages", 600, bin("tsc"), ["-p", "webviews"]),
  part("dead code", 600, bin("knip"), []),
  vitest("tests", 5400, ["--exclude", webgpuTest, "--exclude", `${serverTests}/**`]),
  vitest("language server", 3000, [serverTests, "--maxWorkers=1"]),
  { ...vitest("WebGPU", 1200, [webgpuTest]), env: softwareVulkan() },
  { ...script("GPU", 3600, "scripts/test-gpu.mjs"), nowhereRequired: true },
  script("browser", 2400, "test/e2e/run.mjs"),
  script("training in the browser", 2400, "test/e2e/train.mjs"),
  script("explorer in the browser", 2400, "test/e2e/explorer.mjs"),
  script("attribution and steering in the browser", 1200, "test/e2e/causes.mjs"),
  script("comparing texts in the browser", 1800, "test/e2e/comparison.mjs"),
  script("toy models in the browser", 1200, "test/e2e/toy.mjs"),
  script("pages about decoders in the browser", 2400, "test/e2e/decoders.mjs"),
  script("absorption in the browser", 2400, "test/e2e/absorption.mjs"),
  script("extension host", 1800, "test/e2e/exthost.mjs"),
];

const wanted = process.argv.slice(2);
const strangers = wanted.filter((name) => !parts.some((it) => it.name === name));
if (strangers.length > 0) {
  console.error(`no part ${strangers.join(", ")}; parts: ${parts.map((it) => it.name).join(", ")}`);
  process.exit(1);
}

bootstrap();
mkdirSync(join(repoRoot, ".cache"), { recursive: true });
const results = [];
for (const it of parts.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  console.log(`\n── ${it.name}`);
  const started = performance.now();
  for (const result of await runPart(it)) {
    results.push({ seconds: (performance.now() - started) / 1000, ...result });
  }
}
process.exitCode = summarise(results);

/** Tests under vitest, counted by their folder. */
function vitest(name, seconds, args) {
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  return {
    ...part(name, seconds, bin("vitest"), ["run", ...reporters, ...args]),
    reads: readVitest,
  };
}

/** The environment that selects the software Vulkan driver, where test/setup/software-vulkan.sh has put one. */
function softwareVulkan() {
  if (!existsSync(join(repoRoot, ".cache/software-vulkan/lvp.json"))) return {};
  const script = join(repoRoot, "test/setup/software-vulkan.sh");
  const text = execFileSync("sh", ["-c", `eval "$(sh '${script}')" && env`], { encoding: "utf8" });
  return Object.fromEntries(
    text
      .split("\n")
      .filter((line) => /^(VK_ICD_FILENAMES|LD_LIBRARY_PATH|XDG_RUNTIME_DIR)=/.test(line))
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

function part(name, seconds, command, args) {
  return { name, seconds, command, args };
}

/** A test program of ours: it prints `N passed, N failed` last, and `not run: <what is missing>` for what it left out. */
function script(name, seconds, path) {
  return { ...part(name, seconds, process.execPath, [path]), path, reads: readScript };
}

async function runPart(it) {
  if (it.path && !existsSync(join(repoRoot, it.path))) return [notRun(it.name, `no ${it.path}`)];
  rmSync(report, { force: true });
  let { code, output, timedOut } = await execute(it);
  if (it.path && code !== 0) {
    // A browser on a busy machine misses a click now and then; what is broken fails twice.
    console.log(`\n${it.name} failed; once more from the start`);
    ({ code, output, timedOut } = await execute(it));
  }
  if (timedOut) return [failed(it.name, `stopped after ${it.seconds} s`)];
  if (it.reads) return it.reads(it.name, code, output, it.nowhereRequired !== true);
  return [
    code === 0 ? { name: it.name, passed: 1, failed: 0 } : failed(it.name, `exit code ${code}`),
  ];
}

/** Runs a part with its output shown and kept; kills it with all its children after its time. */
function execute({ command, args, seconds, env }) {
  return new Promise((resolve) => {
    const windows = process.platform === "win32";
    const child = spawn(command, args, {
      cwd: repoRoot,
      stdio: ["ignore", "pipe", "pipe"],
      detached: !windows,
      shell: windows,
      env: {
        ...process.env,
        ...env,
        ...(process.stdout.isTTY ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" }),
      },
    });
    let output = "";
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      if (windows || child.pid === undefined) child.kill();
      else process.kill(-child.pid, "SIGKILL");
    }, seconds * 1000);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text) => {
        output += text;
        process.stdout.write(text);
      });
    }
    child.on("error", (error) => {
      clearTimeout(timer);
      resolve({ code: error.message, output, timedOut });
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code: code ?? signal, output, timedOut });
    });
  });
}

/** Counts the tests by folder of test/, so that the LSP's, the goldens' and each room's are seen apart. */
function readVitest(name, code) {
  if (!existsSync(report)) return [failed(name, `vitest ended with ${code} and wrote no report`)];
  const { testResults } = JSON.parse(readFileSync(report, "utf8"));
  const rooms = new Map();
  for (const file of testResults) {
    const folder = relative(join(repoRoot, "test"), file.name).split(/[\\/]/)[0];
    const room = name === "tests" ? `tests of ${folder}` : name;
    const counts = rooms.get(room) ?? { name: room, passed: 0, failed: 0, seconds: 0, reasons: [] };
    rooms.set(room, counts);
    counts.seconds += (file.endTime - file.startTime) / 1000;
    // A file that could not be loaded, or whose preparation failed, is a failure without a failed test.
    const red = file.assertionResults.some(({ status }) => status === "failed");
    if (file.status === "failed" && !red) counts.failed += 1;
    for (const { status, ancestorTitles, title } of file.assertionResults) {
      if (status === "passed") counts.passed += 1;
      else if (status === "failed") counts.failed += 1;
      else counts.reasons.push(reasonOf([...ancestorTitles, title]));
    }
  }
  const rows = [...rooms.values()].toSorted((a, b) => a.name.localeCompare(b.name));
  const results = rows.flatMap(({ reasons, ...counts }) => [
    counts,
    ...[...new Set(reasons)].map((reason) => ({ ...notRun(counts.name, reason), seconds: 0 })),
  ]);
  if (rows.length === 0) return [failed(name, "vitest found no tests")];
  // An error outside any test (an unhandled rejection) shows in the exit code only.
  const red = rows.some((row) => row.failed > 0);
  return code !== 0 && !red ? [...results, failed(name, `vitest ended with ${code}`)] : results;
}

/** test/parts.ts names a suite `… (not run: <what is missing>)`; other skips are named by their outermost title. */
function reasonOf(titles) {
  const named = titles.map((title) => /\(not run: (.*)\)$/.exec(title)?.[1]).find(Boolean);
  return named ?? `skipped without a reason: ${titles[0]}`;
}

function readScript(name, code, output, required) {
  const lines = output.trimEnd().split("\n");
  const reasons = lines.map((line) => /(?:^|: )not run: (.*)$/.exec(line.trim())?.[1]);
  const missing = [...new Set(reasons.filter(Boolean))].map((reason) =>
    notRun(name, reason, required),
  );
  const counts = lines.map((line) => /(\d+) passed, (\d+) failed/.exec(line)).findLast(Boolean);
  if (!counts && missing.length === 0)
    return [failed(name, `exit code ${code}, and no line "N passed, N failed"`)];
  const result = { name, passed: Number(counts?.[1] ?? 0), failed: Number(counts?.[2] ?? 0) };
  const silent = code !== 0 && [result, ...missing].every((it) => it.failed === 0);
  return [
    ...(result.passed + result.failed > 0 ? [result] : []),
    ...missing,
    ...(silent ? [failed(name, `exit code ${code}`)] : []),
  ];
}

function failed(name, reason) {
  return { name, passed: 0, failed: 1, reason };
}

function notRun(name, reason, required = true) {
  return requireAll && required
    ? failed(name, `required here, but not run: ${reason}`)
    : { name, passed: 0, failed: 0, reason: `not run: ${reason}` };
}

function summarise(rows) {
  console.log("\n── summary");
  for (const { name, passed, failed: bad, reason, seconds } of rows) {
    const verdict = bad > 0 ? "FAILED" : passed > 0 ? "passed" : "";
    const counts = passed + bad > 0 ? `${passed} passed, ${bad} failed` : "";
    const line = [verdict.padEnd(6), name.padEnd(22), counts, reason].filter(Boolean).join("  ");
    console.log(seconds > 0 ? `${line}  (${seconds.toFixed(1)} s)` : line);
  }
  const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
  console.log(`\n${sum("passed")} passed, ${sum("failed")} failed`);
  return sum("failed") > 0 || sum("passed") === 0 ? 1 : 0;
}
