// The part "GPU" of npm test: the tests of numbers (operators and gradients, language models, SAEs, training) once more on
// each GPU that `latent-workbench doctor` finds fit for use, with the tolerances that they have on the CPU.
// Without a GPU it says "not run: …" with the reasons. A software driver of Vulkan is no GPU: `auto` refuses it as slower than
// the CPU. Ends with `N passed, N failed`.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { bootstrap, repoRoot } from "./bootstrap.mjs";

const folders = ["test/graph", "test/lm", "test/sae", "test/training"];
const report = join(repoRoot, ".cache/vitest-gpu.json");

bootstrap();
mkdirSync(join(repoRoot, ".cache"), { recursive: true });
const { device: chosen, devices } = doctor();
const refused = devices.filter(({ refusal }) => refusal !== undefined);
const reasons = refused.map(({ device, refusal }) => `${device}: ${refusal}`).join("; ");
if (chosen === "cpu") {
  console.log(`not run: no GPU (${reasons})`);
} else {
  let [passed, failed] = [0, 0];
  for (const { device, refusal } of devices) {
    if (device === "cpu" || refusal !== undefined) continue;
    const counts = testOn(device);
    console.log(`${device}: ${counts.passed} passed, ${counts.failed} failed`);
    passed += counts.passed;
    failed += counts.failed;
  }
  if (reasons !== "") console.log(`left out: ${reasons}`);
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}

function doctor() {
  const run = spawnSync(process.execPath, [join(repoRoot, "dist/cli.js"), "doctor", "--json"], {
    encoding: "utf8",
  });
  if (run.status !== 0) throw new Error(`doctor ended with ${run.status}: ${run.stderr}`);
  return JSON.parse(run.stdout);
}

/** One process at a time: two that use WebGPU at once can take each other down (onnxruntime issue 31627). */
function testOn(device) {
  rmSync(report, { force: true });
  const args = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  spawnSync(
    join(repoRoot, "node_modules/.bin/vitest"),
    ["run", ...args, "--maxWorkers=1", ...folders],
    {
      cwd: repoRoot,
      stdio: ["ignore", "inherit", "inherit"],
      shell: process.platform === "win32",
      // TF32 would round float32 products to 10 bits; CUDA is refused without this.
      env: {
        ...process.env,
        LATENT_WORKBENCH_TEST_DEVICE: device,
        NVIDIA_TF32_OVERRIDE: "0",
        REQUIRE_ALL: "",
      },
    },
  );
  const { numPassedTests, numFailedTests, numFailedTestSuites } = JSON.parse(
    readFileSync(report, "utf8"),
  );
  return { passed: numPassedTests, failed: Math.max(numFailedTests, numFailedTestSuites) };
}
