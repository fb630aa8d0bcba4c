// The demo is data, but data that files, labels and licences have to agree about.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readContexts } from "../../server/text/contexts.ts";
import { repoRoot } from "../parts.ts";

const demo = join(repoRoot, "demo");
const saes = readdirSync(join(demo, "saes"));

test("there are the four SAEs, each with weights, config and labels", () => {
  expect(saes.toSorted()).toEqual(["meta-512", "resid2-1024", "resid2-6144", "resid2-6144-k2"]);
  for (const sae of saes)
    for (const file of ["sae_weights.safetensors", "cfg.json", "labels.json"])
      expect(existsSync(join(demo, "saes", sae, file)), `${sae}/${file}`).toBe(true);
});

test.each(saes)("labels of %s name latents that it has", (sae) => {
  const { d_sae } = json(`saes/${sae}/cfg.json`) as { d_sae: number };
  const labels = json(`saes/${sae}/labels.json`) as Record<string, { label: string }>;
  expect(Object.keys(labels).length).toBeGreaterThan(5);
  for (const [latent, { label }] of Object.entries(labels)) {
    expect(Number(latent)).toBeLessThan(d_sae);
    expect(label).not.toBe("");
  }
});

test("latents.jsonc names folders that exist", () => {
  const text = readFileSync(join(demo, "latents.jsonc"), "utf8");
  const paths = [...text.matchAll(/"((?:saes\/|lm)[\w/-]*)"/g)].map((match) => match[1] ?? "");
  expect(paths).toContain("lm");
  expect(paths.filter((path) => !existsSync(join(demo, path)) && path !== "lm")).toEqual([]);
});

test.each(["absorbed", "not-absorbed"])(
  "%s.prompt.md: six examples and a question each",
  (name) => {
    const file = `${name}.prompt.md`;
    const text = readFileSync(join(demo, "prompts", file), "utf8");
    const { contexts, frontMatter, problems } = readContexts({ name: file, text });
    expect(problems).toEqual([]);
    expect(frontMatter?.saes).toEqual(["resid2-6144-k2"]);
    expect(contexts.length).toBe(5);
    for (const { parts } of contexts)
      expect(parts[0]?.text).toMatch(
        /^( \w+ has the first letter: [A-Z]\n){6} \w+ has the first letter:$/,
      );
  },
);

test("attributions go with the weights", () => {
  const readme = readFileSync(join(demo, "README.md"), "utf8");
  const books = readme.match(/^- _[^_]+_, OpenStax, Rice University\. CC BY 4\.0\./gm) ?? [];
  expect(books.length).toBe(31);
  for (const source of ["Python Software Foundation", "PostgreSQL", "Princeton University"])
    expect(readme).toContain(source);
});

function json(path: string): unknown {
  return JSON.parse(readFileSync(join(demo, path), "utf8"));
}
