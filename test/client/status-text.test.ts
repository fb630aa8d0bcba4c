import { expect, test } from "vitest";
import { statusLabel, statusText } from "../../client/status-text.ts";
import type { DocumentStatus } from "../../server/protocol/page.ts";

const ready: DocumentStatus = {
  uri: "file:///a.txt",
  state: "ready",
  lm: "demo-lm",
  saes: ["resid2-6144", "resid2-1024"],
  device: "cpu",
  text: "every token is read",
};

test.each([
  [undefined, "$(telescope) Latent Workbench"],
  [ready, "$(telescope) demo-lm · resid2-6144 +1 · cpu"],
  [{ ...ready, state: "off" as const }, "$(circle-slash) Latents: off"],
  [{ ...ready, state: "working" as const, saes: [], device: "" }, "$(loading~spin) demo-lm"],
  [{ uri: "", state: "failed" as const, saes: [], text: "x" }, "$(warning) Latent Workbench"],
  [{ ...ready, lm: "😀".repeat(60), saes: [] }, `$(telescope) ${"😀".repeat(43)}…`],
])("status bar text of %o", (status, expected) => {
  expect(statusText(status)).toBe(expected);
});

test("a screen reader hears all of it", () => {
  expect(statusLabel(ready)).toBe(
    "Latent Workbench: ready, language model demo-lm, SAE resid2-6144, resid2-1024, on cpu, every token is read",
  );
});
