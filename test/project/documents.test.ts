// What documents name must exist: files and folders in backquotes, and links between documents.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { repoRoot } from "../parts.ts";

const documents = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "demo/README.md",
  ...readdirSync(join(repoRoot, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

/** Paths in backquotes that begin with one of our folders; NAME and TOPIC stand for a name to be chosen. */
function namedPaths(text: string): string[] {
  const folders = "client|server|webviews|test|bench|scripts|schemas|docs|demo|media";
  const path = new RegExp(`\`((?:${folders})/[\\w./*-]*)\``, "g");
  return [...text.matchAll(path)]
    .map(([, found]) => found!)
    .filter((it) => !/NAME|TOPIC|\*/.test(it));
}

/** Targets of relative links, without their anchors. */
function linkedPaths(text: string): string[] {
  return [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, found]) => found!);
}

test.each(documents)("%s names what exists", (document) => {
  const text = readFileSync(join(repoRoot, document), "utf8");
  const folder = dirname(join(repoRoot, document));
  const missing = [
    ...namedPaths(text).filter((path) => !existsSync(join(repoRoot, path))),
    ...linkedPaths(text).filter((path) => !existsSync(join(folder, path))),
  ];
  expect(missing).toEqual([]);
});

test("paths and links are found", () => {
  expect(namedPaths("`server/lm/stream.ts`, `server/sae/formats/NAME.ts`, `x/y.ts`")).toEqual([
    "server/lm/stream.ts",
  ]);
  expect(linkedPaths("[a](docs/training.md#keys) [b](https://example.org) [c](#d)")).toEqual([
    "docs/training.md",
  ]);
});
