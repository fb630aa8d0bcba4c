import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/e2e/**", "node_modules/**"],
    testTimeout: 60_000,
    // Two workers at most: ONNX Runtime tests are heavy and the machines small.
    pool: "forks",
    maxWorkers: 2,
  },
});
