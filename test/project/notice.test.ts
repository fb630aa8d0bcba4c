// NOTICE names every package whose code the extension carries, with its licence.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describePart, repoRoot } from "../parts.ts";

const notice = readFileSync(join(repoRoot, "NOTICE"), "utf8");
const built = existsSync(join(repoRoot, "dist/meta-server.json"));

describePart(built ? undefined : "a build (npm run build)", "NOTICE", () => {
  test("is what the build holds: `npm run notice` writes it", () => {
    const program = `import { noticeText } from "./scripts/notice.mjs"; process.stdout.write(noticeText());`;
    const args = ["--input-type=module", "-e", program];
    const wanted = execFileSync(process.execPath, args, { cwd: repoRoot, encoding: "utf8" });
    // An older build may lack what has come since; where everything is asked for, the build is of this minute.
    if (process.env["REQUIRE_ALL"] === "1") expect(notice).toBe(wanted);
    expect(partsOf(notice)).toEqual(expect.arrayContaining(partsOf(wanted)));
  });

  test("names what is bundled, and nothing that only tests use", () => {
    const names = headings(notice).map((line) => line.split(" ")[0]);
    expect(names).toEqual(
      expect.arrayContaining(["preact", "uplot", "vscode-languageserver", "onnxruntime-node"]),
    );
    for (const name of ["vitest", "playwright-core", "esbuild"]) expect(names).not.toContain(name);
    expect(notice.match(/Permission is hereby granted/g)?.length).toBeGreaterThan(10);
  });
});

/** Each heading with its licence. */
function partsOf(text: string): string[] {
  return text.split(/^={80}\n(?=.+\n={80}$)/m).map((part) => part.trim());
}

/** `NAME VERSION (LICENCE)` of each part. */
function headings(text: string): string[] {
  return [...text.matchAll(/^={80}\n(.+)\n={80}$/gm)].map(([, line]) => line ?? "");
}
