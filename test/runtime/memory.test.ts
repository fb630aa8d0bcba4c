import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { UserError } from "../../server/base/errors.ts";
import { Graph } from "../../server/graph/graph.ts";
import * as op from "../../server/graph/ops/index.ts";
import { MemoryLedger } from "../../server/runtime/memory-ledger.ts";
import * as plan from "../../server/runtime/memory-plan.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { runChild } from "./child-process.ts";

const MiB = 2 ** 20;

/** What weights-program.ts prints, in bytes. */
interface Measured {
  readonly planned: number;
  readonly measured: number;
  readonly afterRelease: number;
  readonly values: readonly { found: number; expected: number }[];
}

/** Bytes of the float16 weights, which are widened as they are loaded. */
const originals = 8 * 1280 * 5120 * 2;

test("the plan of weights is within 15 % of the measured resident memory", async () => {
  const reports: Measured[] = [];
  // Where other threads of the process allocate between, the allocator keeps holes that the float16 originals leave; in most
  // processes it does not. They are no part of the plan, but never more than the originals.
  const isWithout = ({ planned, measured, afterRelease }: Measured): boolean =>
    measured < 1.15 * planned && afterRelease < 0.15 * planned;
  while (reports.length < 5 && !reports.some(isWithout)) reports.push(await measure());
  const { planned, measured, afterRelease } = reports.at(-1)!;
  expect(planned).toBe(16 * 1280 * 5120 * 4);
  expect(measured / planned).toBeGreaterThan(0.85);
  expect(measured / planned).toBeLessThan(1.15);
  expect(afterRelease / planned).toBeLessThan(0.15);
  for (const { values, ...of } of reports) {
    expect(of.measured).toBeLessThan(1.15 * planned + originals);
    expect(of.afterRelease).toBeLessThan(0.15 * planned + originals);
    for (const { found, expected } of values)
      expect(Math.abs(found / expected - 1)).toBeLessThan(1e-5);
  }
});

async function measure(): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), "weights-"));
  try {
    const report = await runChild<Measured>(join(import.meta.dirname, "weights-program.ts"), [
      folder,
    ]);
    const mib = (bytes: number): string => `${(bytes / MiB).toFixed(0)} MiB`;
    console.log(
      `planned ${mib(report.planned)}, measured ${mib(report.measured)}, after release ${mib(report.afterRelease)}`,
    );
    return report;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("the ledger", () => {
  test("refuses with a table of everything", () => {
    const ledger = new MemoryLedger(100 * MiB);
    ledger.plan("SmolLM2 weights", 80 * MiB);
    const require = () => ledger.require([{ what: "res-16k weights", bytes: 40.5 * MiB }]);
    expect(require).toThrow(UserError);
    expect(require).toThrow(
      [
        "needs 121 MiB where latentWorkbench.memoryBudget allows 100 MiB:",
        "      80 MiB  SmolLM2 weights",
        "      41 MiB  res-16k weights",
        "Raise the budget, unload a model or SAE, or choose smaller ones",
      ].join("\n"),
    );
  });
  test("lets pass what fits, and what replaces its own line", () => {
    const ledger = new MemoryLedger(100);
    ledger.plan("cache", 60);
    ledger.require([{ what: "weights", bytes: 40 }]);
    ledger.require([{ what: "cache", bytes: 90 }]);
    expect(() => ledger.require([{ what: "weights", bytes: 41 }])).toThrow(UserError);
    ledger.release("cache");
    ledger.release("cache");
    ledger.require([{ what: "weights", bytes: 100 }]);
  });
  test("says what is planned and what is resident", () => {
    const ledger = new MemoryLedger(100);
    ledger.plan("a", 1);
    ledger.plan("b", 2);
    ledger.plan("a", 3);
    expect(ledger.plannedBytes).toBe(5);
    const status = ledger.status();
    expect(status).toMatchObject({
      budget: 100,
      planned: [
        { what: "a", bytes: 3 },
        { what: "b", bytes: 2 },
      ],
    });
    expect(status.residentBytes).toBeGreaterThan(10 * MiB);
  });
});

describe("planned bytes", () => {
  test("of the KV cache", () => {
    expect(plan.kvCacheBytes({ n_layers: 30, n_kv_heads: 3, d_head: 64 }, 2000)).toBe(92_160_000);
  });
  test("of a graph's weights, once each and as float32, without those nobody needs", () => {
    const graph = new Graph("block");
    const x = graph.input("x", "float32", ["tokens", 8]);
    const W = graph.weight("W", tensor("float16", [8, 8], new Uint16Array(64)));
    graph.weight("unused", tensor("float32", [8], new Float32Array(8)));
    graph.output("y", op.matmul(op.matmul(x, W), W));
    expect(plan.graphWeightBytes(graph)).toBe(256);
  });
  test("of a run's intermediate values, when the most are alive", () => {
    const graph = new Graph("block");
    const x = graph.input("x", "float32", ["tokens", 8]);
    const W = graph.weight("W", tensor("float16", [8, 32], new Uint16Array(256)));
    const hidden = op.relu(op.matmul(x, W)); // 2 × [tokens, 32]
    graph.output("y", op.reduceSum(hidden, [-1], true));
    expect(plan.activationBytes(graph, { tokens: 10 })).toBe(2 * 10 * 32 * 4);
  });
});
