/**
 * Parts of the tests that need more than a fresh clone has: a real model, Python, a GPU.
 * A missing part is reported as "not run: <what is missing>", never as passed; with REQUIRE_ALL=1 it is an error.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, test } from "vitest";

/** The root of the repository. */
export const repoRoot: string = join(dirname(fileURLToPath(import.meta.url)), "..");

/** A file or folder of the shared material beside the repository. */
export function shared(...path: string[]): string {
  return join(process.env["LATENT_WORKBENCH_SHARED"] ?? join(repoRoot, "../shared"), ...path);
}

/** Describes tests that need `path`; without it the suite says so by name and is skipped, or errs with REQUIRE_ALL=1. */
export function describeWith(path: string, name: string, body: () => void): void {
  describePart(existsSync(path) ? undefined : `${path} is missing`, name, body);
}

/** Describes tests that run unless `missing` says what is not there. */
export function describePart(missing: string | undefined, name: string, body: () => void): void {
  if (missing === undefined) {
    describe(name, body);
  } else if (process.env["REQUIRE_ALL"] === "1") {
    test(name, () => {
      throw new Error(`required here, but not run: ${missing}`);
    });
  } else {
    describe.skip(`${name} (not run: ${missing})`, () => {
      test("needs a part that is missing", () => {});
    });
  }
}
