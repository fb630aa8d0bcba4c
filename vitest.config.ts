import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/e2e/**", "node_modules/**"],
    // Limits against hanging, not measurements: a machine that does other things takes many times as long.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    // Two workers at most: ONNX Runtime tests are heavy and the machines small.
    pool: "forks",
    maxWorkers: 2,
  },
});
